//! What a node asks another: actions by their types, and messages in the two forms they have.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use ringwall_api::ApiError;
use ringwall_base::encoding;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The name of an action with the types of its request and its response, so that whoever asks and whoever answers
/// mean the same.
pub struct NodeAction<Request, Response> {
    name: &'static str,
    types: PhantomData<fn(Request) -> Response>,
}

impl<Request, Response> NodeAction<Request, Response> {
    /// Returns the action of a name.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            types: PhantomData,
        }
    }

    /// Returns the name.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl<Request, Response> Clone for NodeAction<Request, Response> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Request, Response> Copy for NodeAction<Request, Response> {}

impl<Request, Response> fmt::Display for NodeAction<Request, Response> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A request or a response on its way to a handler or from it.
pub enum Message {
    /// As other nodes send and get it.
    Encoded(Bytes),
    /// The value itself: from this node to itself nothing is encoded.
    Typed(Box<dyn Any + Send>),
}

impl Message {
    pub(crate) fn encode(message: &impl Serialize) -> Self {
        Self::Encoded(encoding::encode(message).into())
    }

    /// Returns the value that the message stands for.
    ///
    /// Errors: the bytes are none of the type (400), or the value is of another type.
    pub(crate) fn into_typed<T: DeserializeOwned + 'static>(self) -> Result<T, ApiError> {
        match self {
            Self::Encoded(bytes) => encoding::decode_shared(&bytes)
                .map_err(|error| ApiError::illegal_argument(error.to_string())),
            Self::Typed(value) => value.downcast().map(|value| *value).map_err(|_| {
                let wanted = std::any::type_name::<T>();
                ApiError::internal(format!("a message of this node is no [{wanted}]"))
            }),
        }
    }

    /// Returns the bytes of an encoded message.
    ///
    /// Errors: it is a value.
    pub(crate) fn into_encoded(self) -> Result<Bytes, ApiError> {
        match self {
            Self::Encoded(bytes) => Ok(bytes),
            Self::Typed(_) => Err(ApiError::internal(
                "a message of this node is a value where bytes are wanted",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use ringwall_api::ErrorCode;

    use super::*;

    #[test]
    fn a_message_is_what_was_put_in_or_an_error() {
        let text = || "text".to_owned();
        assert_eq!(Message::Typed(Box::new(text())).into_typed(), Ok(text()));
        assert_eq!(Message::encode(&text()).into_typed(), Ok(text()));
        let other = Message::Typed(Box::new(7)).into_typed::<String>();
        assert_eq!(other.unwrap_err().status, 500);
        let other = Message::encode(&7).into_typed::<String>().unwrap_err();
        assert_eq!(other.code, ErrorCode::IllegalArgument);
        assert!(Message::Typed(Box::new(text())).into_encoded().is_err());
    }
}
