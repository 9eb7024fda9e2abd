//! Private keys: generation, decoding, signing, and which certificate they belong to.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use ringwall_base::SecretBytes;
use rsa::pkcs8::EncodePrivateKey;

use crate::PkiError;
use crate::der;

/// What kind of key to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySpec {
    /// RSA with 2048 to 8192 bits, a multiple of 8: what certutil makes. 2048 bits take about 0.2 s.
    Rsa(u32),
    /// Elliptic curve P-256: made in a fraction of a millisecond.
    EcP256,
    /// Elliptic curve P-384.
    EcP384,
    /// Elliptic curve P-521.
    EcP521,
    /// Curve25519 for signatures. Java and browsers of today take it in TLS 1.3 only.
    Ed25519,
}

impl Default for KeySpec {
    fn default() -> Self {
        Self::Rsa(crate::DEFAULT_KEY_SIZE)
    }
}

/// A private key that can sign: RSA (2048 to 8192 bits), EC (P-256, P-384, P-521) or Ed25519.
pub struct PrivateKey {
    pkcs8: SecretBytes,
    pair: Pair,
    spki: Vec<u8>,
    public: Vec<u8>,
}

impl PrivateKey {
    /// Generates a new key.
    ///
    /// Errors: [`PkiError::KeySize`] for an RSA size that cannot be generated, [`PkiError::Crypto`].
    pub fn generate(spec: KeySpec) -> Result<Self, PkiError> {
        let failed = |_| PkiError::Crypto("generate a private key");
        let pkcs8 = match spec {
            KeySpec::Rsa(bits) => {
                let size = match bits {
                    2048 => Some(KeySize::Rsa2048),
                    3072 => Some(KeySize::Rsa3072),
                    4096 => Some(KeySize::Rsa4096),
                    8192 => Some(KeySize::Rsa8192),
                    2056..8192 if bits.is_multiple_of(8) => None,
                    other => return Err(PkiError::KeySize(other)),
                };
                match size {
                    Some(size) => {
                        let pair = RsaKeyPair::generate(size).map_err(failed)?;
                        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                        SecretBytes::new(der.as_ref())
                    }
                    None => generate_rsa(bits)?,
                }
            }
            KeySpec::EcP256 => generate_ec(&signature::ECDSA_P256_SHA256_ASN1_SIGNING)?,
            KeySpec::EcP384 => generate_ec(&signature::ECDSA_P384_SHA384_ASN1_SIGNING)?,
            KeySpec::EcP521 => generate_ec(&signature::ECDSA_P521_SHA512_ASN1_SIGNING)?,
            KeySpec::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(failed)?;
                SecretBytes::new(pair.to_pkcs8v1().map_err(failed)?.as_ref())
            }
        };
        Self::from_pkcs8(pkcs8)
    }

    /// Decodes an unencrypted PKCS#8 key (DER).
    ///
    /// Errors: [`PkiError::BadKey`] when it is malformed, too small or of an unsupported algorithm.
    pub fn from_pkcs8(pkcs8: SecretBytes) -> Result<Self, PkiError> {
        let pair = Pair::from_pkcs8(pkcs8.expose())?;
        let spki = pair
            .spki()
            .map_err(|_| PkiError::Crypto("derive a public key"))?;
        let public = pair.public().to_vec();
        Ok(Self {
            pkcs8,
            pair,
            spki,
            public,
        })
    }

    /// Returns the unencrypted PKCS#8 DER.
    pub fn pkcs8(&self) -> &SecretBytes {
        &self.pkcs8
    }

    /// Returns the algorithm and size, for example `RSA 2048` or `EC P-256`.
    pub fn algorithm(&self) -> String {
        match &self.pair {
            Pair::Rsa(pair) => format!("RSA {}", modulus_bits(pair)),
            Pair::Ec(_, curve) => format!("EC {}", curve.name),
            Pair::Ed25519(_) => "Ed25519".to_owned(),
        }
    }

    /// Returns the DER SubjectPublicKeyInfo of the public half.
    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Returns the bits of the public key, as they stand in a certificate's BIT STRING.
    pub(crate) fn public_bits(&self) -> &[u8] {
        &self.public
    }

    /// Returns the DER AlgorithmIdentifier of the signatures that [`Self::sign`] makes.
    pub(crate) fn signature_algorithm(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(_) => der::sequence(&[&der::oid(SHA256_WITH_RSA), der::NULL]),
            Pair::Ec(_, curve) => der::sequence(&[&der::oid(curve.signature_oid)]),
            Pair::Ed25519(_) => der::sequence(&[&der::oid(ED25519)]),
        }
    }

    /// Signs a message: SHA256withRSA, ECDSA with the hash that fits the curve, or Ed25519.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PkiError> {
        let failed = |_| PkiError::Crypto("sign");
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signed = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signed)
                    .map_err(failed)?;
                Ok(signed)
            }
            Pair::Ec(pair, _) => Ok(pair
                .sign(&random, message)
                .map_err(failed)?
                .as_ref()
                .to_vec()),
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, ***)", self.algorithm())
    }
}

/// Makes an RSA key of a size that AWS-LC does not make. It makes only the key; AWS-LC signs with it.
fn generate_rsa(bits: u32) -> Result<SecretBytes, PkiError> {
    let failed = || PkiError::Crypto("generate a private key");
    let mut random = rsa::rand_core::UnwrapErr(getrandom::SysRng);
    let bits = usize::try_from(bits).map_err(|_| failed())?;
    let key = rsa::PrivateKey::new(&mut random, bits).map_err(|_| failed())?;
    let der = key.to_pkcs8_der().map_err(|_| failed())?;
    Ok(SecretBytes::new(der.as_bytes()))
}

/// Returns the size of a key: the bits of its modulus without leading zeros.
fn modulus_bits(pair: &RsaKeyPair) -> usize {
    // Source: RFC 8017, A.1.1: RSAPublicKey is a sequence of the modulus and the exponent.
    let modulus = der::Reader::new(pair.public_key().as_ref())
        .next_if(der::SEQUENCE)
        .and_then(|key| der::Reader::new(key.content).next_if(der::INTEGER));
    let Some(modulus) = modulus else {
        return pair.public_modulus_len() * 8;
    };
    let zeros = modulus
        .content
        .iter()
        .take_while(|byte| **byte == 0)
        .count();
    let bytes = &modulus.content[zeros..];
    let unused = bytes.first().map_or(0, |first| first.leading_zeros());
    bytes.len() * 8 - unused as usize
}

fn generate_ec(algorithm: &'static EcdsaSigningAlgorithm) -> Result<SecretBytes, PkiError> {
    let failed = |_| PkiError::Crypto("generate a private key");
    let pair = EcdsaKeyPair::generate(algorithm).map_err(failed)?;
    Ok(SecretBytes::new(
        pair.to_pkcs8v1().map_err(failed)?.as_ref(),
    ))
}

/// Returns whether a private key (PKCS#8 DER) belongs to a certificate (DER).
///
/// Errors: [`PkiError::BadKey`], [`PkiError::BadCertificate`] when one of them cannot be decoded.
pub fn key_matches_certificate(pkcs8: &SecretBytes, certificate: &[u8]) -> Result<bool, PkiError> {
    let key = PrivateKey::from_pkcs8(pkcs8.clone())?;
    Ok(key.public_bits() == certificate_public_bits(certificate)?)
}

/// Returns the public key bits of a certificate.
pub(crate) fn certificate_public_bits(certificate: &[u8]) -> Result<Vec<u8>, PkiError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|error| PkiError::BadCertificate(error.to_string()))?;
    Ok(parsed.public_key().subject_public_key.data.to_vec())
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static Curve),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, PkiError> {
        let (algorithm, parameters) = pkcs8_algorithm(pkcs8)
            .ok_or_else(|| PkiError::BadKey("not a PKCS#8 private key".to_owned()))?;
        if algorithm == der::oid(RSA_ENCRYPTION) {
            let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|error| {
                PkiError::BadKey(format!(
                    "RSA key refused: {error} (2048 to 8192 bits needed)"
                ))
            })?;
            return Ok(Self::Rsa(pair));
        }
        if algorithm == der::oid(EC_PUBLIC_KEY) {
            if parameters.first() == Some(&der::SEQUENCE) {
                return Err(PkiError::BadKey(EXPLICIT_CURVE.to_owned()));
            }
            let curve = CURVES
                .iter()
                .find(|curve| der::oid(curve.oid) == parameters)
                .ok_or_else(|| {
                    PkiError::BadKey("unknown elliptic curve; use P-256, P-384 or P-521".to_owned())
                })?;
            let pair = EcdsaKeyPair::from_private_key_der(curve.signing, pkcs8)
                .map_err(|error| PkiError::BadKey(format!("EC key refused: {error}")))?;
            return Ok(Self::Ec(pair, curve));
        }
        if algorithm == der::oid(ED25519) {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
                .map_err(|error| PkiError::BadKey(format!("Ed25519 key refused: {error}")))?;
            return Ok(Self::Ed25519(pair));
        }
        let name = if algorithm == der::oid(DSA) {
            "DSA keys are"
        } else {
            "this key algorithm is"
        };
        Err(PkiError::BadKey(format!(
            "{name} not supported; use an RSA or EC key"
        )))
    }

    fn public(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::Ec(pair, _) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    fn spki(&self) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(pair) => pair.public_key().as_der()?,
            Self::Ec(pair, _) => pair.public_key().as_der()?,
            Self::Ed25519(pair) => pair.public_key().as_der()?,
        };
        Ok(der.as_ref().to_vec())
    }
}

/// Returns the encoded algorithm OID and the encoded parameters of a PKCS#8 key.
fn pkcs8_algorithm(pkcs8: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let outer = der::Reader::new(pkcs8).next_if(der::SEQUENCE)?;
    let mut fields = der::Reader::new(outer.content);
    fields.next_if(der::INTEGER)?;
    let algorithm = fields.next_if(der::SEQUENCE)?;
    let mut parts = der::Reader::new(algorithm.content);
    let oid = parts.next_if(der::OBJECT_IDENTIFIER)?;
    let parameters = parts
        .next()
        .map(|value| value.raw.to_vec())
        .unwrap_or_default();
    Some((oid.raw.to_vec(), parameters))
}

/// Returns the algorithm-specific key inside PKCS#8: for RSA the PKCS#1 `RSAPrivateKey`.
pub(crate) fn pkcs8_inner(pkcs8: &[u8]) -> Option<(bool, SecretBytes)> {
    let outer = der::Reader::new(pkcs8).next_if(der::SEQUENCE)?;
    let mut fields = der::Reader::new(outer.content);
    fields.next_if(der::INTEGER)?;
    let algorithm = fields.next_if(der::SEQUENCE)?;
    let is_rsa = algorithm.content.starts_with(&der::oid(RSA_ENCRYPTION));
    let inner = fields.next_if(der::OCTET_STRING)?;
    Some((is_rsa, SecretBytes::new(inner.content)))
}

/// Wraps a PKCS#1 `RSAPrivateKey` as PKCS#8.
pub(crate) fn pkcs1_to_pkcs8(pkcs1: &[u8]) -> SecretBytes {
    let algorithm = der::sequence(&[&der::oid(RSA_ENCRYPTION), der::NULL]);
    wrap_pkcs8(&algorithm, pkcs1)
}

/// Wraps a SEC1 `ECPrivateKey` as PKCS#8. The curve is the one inside the key, else `outside` (an
/// `EC PARAMETERS` block). The error tells why there is no curve.
pub(crate) fn sec1_to_pkcs8(
    sec1: &[u8],
    outside: Option<&[u8]>,
) -> Result<SecretBytes, &'static str> {
    let malformed = "its content is no EC private key";
    let outer = der::Reader::new(sec1).next_if(der::SEQUENCE);
    let mut fields = der::Reader::new(outer.ok_or(malformed)?.content);
    fields.next_if(der::INTEGER).ok_or(malformed)?;
    fields.next_if(der::OCTET_STRING).ok_or(malformed)?;
    let inside = fields.next_if(0xa0).map(|value| value.content);
    let curve = inside.or(outside).ok_or(
        "an EC key that does not tell its curve; put the EC PARAMETERS block before it, or convert it with \
         `openssl pkcs8`",
    )?;
    let mut parameters = der::Reader::new(curve);
    if parameters.next_if(der::OBJECT_IDENTIFIER).is_none() {
        return Err(EXPLICIT_CURVE);
    }
    let algorithm = der::sequence(&[&der::oid(EC_PUBLIC_KEY), curve]);
    Ok(wrap_pkcs8(&algorithm, sec1))
}

fn wrap_pkcs8(algorithm: &[u8], key: &[u8]) -> SecretBytes {
    let octets = zeroize::Zeroizing::new(der::value(der::OCTET_STRING, key));
    SecretBytes::new(der::sequence(&[
        &der::unsigned_integer(&[0]),
        algorithm,
        &octets,
    ]))
}

/// An elliptic curve and how keys on it sign.
struct Curve {
    name: &'static str,
    oid: &'static [u64],
    signature_oid: &'static [u64],
    signing: &'static EcdsaSigningAlgorithm,
}

const CURVES: &[Curve] = &[
    Curve {
        name: "P-256",
        oid: &[1, 2, 840, 10045, 3, 1, 7],
        signature_oid: &[1, 2, 840, 10045, 4, 3, 2],
        signing: &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
    },
    Curve {
        name: "P-384",
        oid: &[1, 3, 132, 0, 34],
        signature_oid: &[1, 2, 840, 10045, 4, 3, 3],
        signing: &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
    },
    Curve {
        name: "P-521",
        oid: &[1, 3, 132, 0, 35],
        signature_oid: &[1, 2, 840, 10045, 4, 3, 4],
        signing: &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
    },
];

const RSA_ENCRYPTION: &[u64] = &[1, 2, 840, 113549, 1, 1, 1];
const SHA256_WITH_RSA: &[u64] = &[1, 2, 840, 113549, 1, 1, 11];
const EC_PUBLIC_KEY: &[u64] = &[1, 2, 840, 10045, 2, 1];
const ED25519: &[u64] = &[1, 3, 101, 112];
const DSA: &[u64] = &[1, 2, 840, 10040, 4, 1];
const EXPLICIT_CURVE: &str = "an EC key with explicit curve parameters, which is not supported; name the curve: \
                              with `openssl ec -param_enc named_curve`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_rsa_sizes_are_refused_by_name() {
        let error = PrivateKey::generate(KeySpec::Rsa(1024)).unwrap_err();
        assert!(PrivateKey::generate(KeySpec::Rsa(2050)).is_err());
        assert_eq!(
            error.to_string(),
            "RSA key size 1024 is not supported; use a multiple of 8 from 2048 to 8192: shorter keys are \
             not safe, and nodes take no others"
        );
    }

    #[test]
    fn any_rsa_size_within_the_limits_is_made_and_signs() {
        for bits in [2056, 2560, 3000] {
            let key = PrivateKey::generate(KeySpec::Rsa(bits)).unwrap();
            assert_eq!(key.algorithm(), format!("RSA {bits}"));
            let signed = key.sign(b"message").unwrap();
            let public = signature::UnparsedPublicKey::new(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                key.public_bits(),
            );
            public.verify(b"message", &signed).unwrap();
            assert!(public.verify(b"another", &signed).is_err());
        }
    }

    #[test]
    fn debug_hides_the_key() {
        let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(EC P-256, ***)");
    }

    #[test]
    fn a_generated_key_is_decoded_to_the_same_public_key() {
        let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
        let again = PrivateKey::from_pkcs8(key.pkcs8().clone()).unwrap();
        assert_eq!(key.spki(), again.spki());
        let (is_rsa, sec1) = pkcs8_inner(key.pkcs8().expose()).unwrap();
        assert!(!is_rsa);
        let curve = der::oid(CURVES[0].oid);
        let wrapped = sec1_to_pkcs8(sec1.expose(), Some(&curve)).unwrap();
        assert_eq!(PrivateKey::from_pkcs8(wrapped).unwrap().spki(), key.spki());
    }

    #[test]
    fn garbage_is_an_error() {
        for bytes in [
            &b""[..],
            b"\x30\x00",
            b"hello",
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(matches!(
                PrivateKey::from_pkcs8(SecretBytes::new(bytes)),
                Err(PkiError::BadKey(_))
            ));
        }
    }
}
