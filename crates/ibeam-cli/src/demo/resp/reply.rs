//! What a request is answered with.

use std::borrow::Cow;
use std::fmt;

use super::ProtocolError;
use crate::demo::small_bytes::SmallBytes;

/// One reply, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `+OK`: a status, which has no line ends in it.
    Simple(Cow<'static, str>),
    /// `-ERR …`
    Error(ErrorReply),
    /// `:1`
    Integer(i64),
    /// `$3`: any bytes.
    Bulk(SmallBytes),
    /// `$-1`: no such value.
    Nil,
    /// `*2`
    Array(Vec<Reply>),
}

impl Reply {
    /// `+OK`
    pub(crate) const OK: Self = Self::simple("OK");

    /// A status that is known.
    pub(crate) const fn simple(text: &'static str) -> Self {
        Self::Simple(Cow::Borrowed(text))
    }

    /// Copies `text`.
    pub(crate) fn bulk(text: &str) -> Self {
        Self::Bulk(SmallBytes::copy_from_slice(text.as_bytes()))
    }

    /// The value, or [`Reply::Nil`].
    pub(crate) fn bulk_or_nil(value: Option<SmallBytes>) -> Self {
        value.map_or(Self::Nil, Self::Bulk)
    }

    /// An array of bulk strings.
    pub(crate) fn bulks(values: impl IntoIterator<Item = SmallBytes>) -> Self {
        Self::Array(values.into_iter().map(Self::Bulk).collect())
    }
}

impl From<ErrorReply> for Reply {
    fn from(error: ErrorReply) -> Self {
        Self::Error(error)
    }
}

/// An error's line without its `-` and line end: a code (`ERR`, `NOPROTO`), a space, a sentence.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ErrorReply(Cow<'static, [u8]>);

impl ErrorReply {
    /// An error whose text is known.
    pub(crate) const fn new(line: &'static str) -> Self {
        Self(Cow::Borrowed(line.as_bytes()))
    }

    /// An error with a client's words in it; line ends become spaces, so that they cannot end the reply.
    pub(crate) fn with_words(mut line: Vec<u8>) -> Self {
        for byte in &mut line {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        Self(Cow::Owned(line))
    }

    /// The line.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<String> for ErrorReply {
    fn from(line: String) -> Self {
        Self::with_words(line.into_bytes())
    }
}

/// The last reply of a connection.
impl From<ProtocolError> for ErrorReply {
    fn from(error: ProtocolError) -> Self {
        let mut line = b"ERR Protocol error: ".to_vec();
        match error {
            // As it came, where `Display` would make two bytes of a byte over 127.
            ProtocolError::ExpectedDollar { got } => {
                line.extend_from_slice(b"expected '$', got '");
                line.extend_from_slice(&[got, b'\'']);
            }
            other => line.extend_from_slice(other.to_string().as_bytes()),
        }
        Self::with_words(line)
    }
}

impl fmt::Debug for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorReply({})", self.0.escape_ascii())
    }
}

impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_a_client_cannot_end_the_line() {
        let error = ErrorReply::with_words(b"ERR a\r\n+OK\r\nb".to_vec());
        assert_eq!(error.to_string(), "ERR a  +OK  b");
    }

    #[test]
    fn protocol_errors_have_redis_words() {
        for (error, line) in [
            (ProtocolError::MultibulkLength, &b"ERR Protocol error: invalid multibulk length"[..]),
            (ProtocolError::BulkLength, b"ERR Protocol error: invalid bulk length"),
            (ProtocolError::ExpectedDollar { got: b'f' }, b"ERR Protocol error: expected '$', got 'f'"),
            (ProtocolError::ExpectedDollar { got: b'\r' }, b"ERR Protocol error: expected '$', got ' '"),
            (ProtocolError::ExpectedDollar { got: 0xff }, b"ERR Protocol error: expected '$', got '\xff'"),
            (ProtocolError::InlineTooBig, b"ERR Protocol error: too big inline request"),
            (ProtocolError::MultibulkCountTooBig, b"ERR Protocol error: too big mbulk count string"),
            (ProtocolError::BulkCountTooBig, b"ERR Protocol error: too big bulk count string"),
            (ProtocolError::UnbalancedQuotes, b"ERR Protocol error: unbalanced quotes in request"),
            (ProtocolError::RequestTooBig, b"ERR Protocol error: too big request"),
        ] {
            assert_eq!(ErrorReply::from(error).as_bytes(), line);
        }
    }
}
