//! The little of HTTP/1.1 that the load clients read: a status, a length, a body.

/// The most that a reply may be: the servers answer with some hundred bytes.
const LIMIT: usize = 64 * 1024;

/// A whole reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Why bytes are no reply.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReplyError {
    /// Too much of it.
    #[error("longer than {LIMIT} bytes")]
    TooLong,
    /// No status line.
    #[error("no status line")]
    NoStatus,
    /// No length: chunked replies are not read here.
    #[error("no content-length")]
    NoLength,
    /// The connection ended before the reply did.
    #[error("the connection ended in the middle")]
    Ended,
}

/// The bytes of a connection, taken apart reply by reply.
#[derive(Debug, Default)]
pub(crate) struct ReplyBuffer {
    bytes: Vec<u8>,
}

impl ReplyBuffer {
    /// Takes what was read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The first whole reply, if one is there.
    ///
    /// # Errors
    /// Where the bytes are no reply, or too many.
    pub(crate) fn take(&mut self) -> Result<Option<Reply>, ReplyError> {
        let Some(head) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if self.bytes.len() > LIMIT {
                Err(ReplyError::TooLong)
            } else {
                Ok(None)
            };
        };
        let text = String::from_utf8_lossy(&self.bytes[..head]);
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or(ReplyError::NoStatus)?;
        let mut headers = lines.filter_map(|line| line.split_once(':'));
        let length = headers
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .ok_or(ReplyError::NoLength)?
            .1;
        let length: usize = length.trim().parse().map_err(|_| ReplyError::NoLength)?;
        if length > LIMIT {
            return Err(ReplyError::TooLong);
        }
        let end = head + 4 + length;
        if self.bytes.len() < end {
            return Ok(None);
        }
        let body = self.bytes[head + 4..end].to_vec();
        self.bytes.drain(..end);
        Ok(Some(Reply { status, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_come_out_whole_however_they_came_in() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        let mut buffer = ReplyBuffer::default();
        let mut replies = Vec::new();
        for byte in bytes {
            buffer.push(&[*byte]);
            replies.extend(buffer.take().unwrap());
        }
        assert_eq!(
            replies,
            [
                Reply {
                    status: 200,
                    body: b"hello".to_vec()
                },
                Reply {
                    status: 404,
                    body: vec![]
                }
            ]
        );
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let refused = |bytes: &[u8]| {
            let mut buffer = ReplyBuffer::default();
            buffer.push(bytes);
            buffer.take().unwrap_err()
        };
        assert_eq!(refused(b"SSH-2.0-x\r\n\r\n"), ReplyError::NoStatus);
        assert_eq!(refused(b"HTTP/1.1 200 OK\r\n\r\n"), ReplyError::NoLength);
        assert_eq!(
            refused(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"),
            ReplyError::TooLong
        );
        assert_eq!(refused(&vec![b'x'; LIMIT + 1]), ReplyError::TooLong);
    }
}
