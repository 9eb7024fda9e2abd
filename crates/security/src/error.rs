//! The errors of this crate.

use ringwall_api::{ApiError, ErrorCode};

/// Why a password, hash, pattern or role could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// The value of `xpack.security.authc.password_hashing.algorithm` is not one we know.
    #[error(
        "unknown password hashing algorithm [{name}]; expected one of [{}]",
        crate::hash::ALGORITHM_NAMES.join(", ")
    )]
    UnknownAlgorithm { name: String },
    /// The stored text is no hash we verify: clear text and unsalted digests are refused.
    #[error(
        "The provided password hash is not a hash or it could not be resolved to a supported hash \
         algorithm. The supported password hash algorithms are [{}]",
        crate::hash::ALGORITHM_NAMES.join(", ")
    )]
    UnsupportedHash,
    /// bcrypt reads no more than 72 bytes of a password; cutting it silently would accept others.
    #[error(
        "the password has [{bytes}] bytes but [bcrypt] uses at most [72]; choose a shorter one, or set \
         [xpack.security.authc.password_hashing.algorithm] to [pbkdf2_stretch]"
    )]
    PasswordTooLong { bytes: usize },
    /// The hashing itself failed, which means the operating system gave no random bytes.
    #[error("cannot hash the password: {reason}")]
    HashingFailed { reason: String },
    /// A pattern of a role is not one we can match exactly.
    #[error("invalid pattern [{pattern}]: {reason}")]
    InvalidPattern { pattern: String, reason: String },
    /// The settings of the audit log name a type of events that does not exist.
    #[error("invalid event name specified [{name}]")]
    UnknownAuditEvent { name: String },
    /// A role names a cluster privilege that does not exist.
    #[error(
        "unknown cluster privilege [{name}]. a privilege must be either one of the predefined cluster \
         privilege names [{}] or a pattern over one of the available cluster actions",
        crate::authz::cluster_privilege_names().join(",")
    )]
    UnknownClusterPrivilege { name: String },
    /// A role names an index privilege that does not exist.
    #[error(
        "unknown index privilege [{name}]. a privilege must be either one of the predefined fixed indices \
         privileges [{}] or a pattern over one of the available index actions",
        crate::authz::index_privilege_names().join(",")
    )]
    UnknownIndexPrivilege { name: String },
    /// Nothing would check the certificates of a PKI realm's users. Source: Elasticsearch reference, "PKI user
    /// authentication".
    #[error(
        "a PKI realm without trust configuration is enabled but it is not secure to use it when certificate \
         verification is disabled for HTTP or Transport; set [xpack.security.http.ssl.verification_mode] to [full], or \
         [xpack.security.authc.realms.pki.{realm}.certificate_authorities]"
    )]
    NoTrust { realm: String },
    /// The query of a role is none.
    #[error(
        "failed to parse field 'query' for indices [{indices}] at index privilege [{position}] of role descriptor \
         [{role}]: {reason}"
    )]
    RoleQuery {
        role: String,
        indices: String,
        position: usize,
        reason: String,
    },
    /// A role takes fields away that it does not grant.
    #[error(
        "failed to parse indices privileges for role [{role}] - Exceptions for field permissions must be a subset of the \
         granted fields but {except} is not a subset of {grant}"
    )]
    ExceptedNotGranted {
        role: String,
        except: String,
        grant: String,
    },
    /// A role takes away what every document has.
    #[error("field_security cannot except the metadata field [{name}], which is always seen")]
    ExceptedMetadata { name: String },
}

impl From<SecurityError> for ApiError {
    fn from(error: SecurityError) -> Self {
        match error {
            SecurityError::HashingFailed { .. } => ApiError::internal("cannot hash the password"),
            SecurityError::RoleQuery { .. } | SecurityError::ExceptedNotGranted { .. } => {
                ApiError::new(ErrorCode::Parse, error.to_string())
            }
            other => ApiError::illegal_argument(other.to_string()),
        }
    }
}
