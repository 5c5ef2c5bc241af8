//! memcached, by its text protocol: the questions of all callers in one pipeline.

use std::io::Write;

use cluster_web::Result;

use super::Peer;
use crate::multiplex::{Answer, Multiplex};

/// A client of the server at a socket.
pub(crate) async fn connect(socket: &str) -> Result<Memcached> {
    Ok(Memcached(Multiplex::connect(socket, true, cut).await?))
}

#[derive(Clone)]
pub(crate) struct Memcached(Multiplex);

impl Peer for Memcached {
    async fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let write = |out: &mut Vec<u8>, _| {
            out.extend_from_slice(b"get ");
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"\r\n");
        };
        self.0.ask(write).await
    }

    async fn set(&mut self, key: &str, value: &[u8]) -> Result<()> {
        let write = |out: &mut Vec<u8>, _| {
            // Writing into memory cannot fail.
            let _ = write!(out, "set {key} 0 0 {}\r\n", value.len());
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        };
        self.0.ask(write).await.map(drop)
    }
}

/// `VALUE KEY FLAGS BYTES`, the value and `END`; `END` alone; `STORED`; anything else is an error.
fn cut(bytes: &[u8]) -> Option<Answer> {
    const LAST: &[u8] = b"\r\nEND\r\n";
    let line = bytes.windows(2).position(|two| two == b"\r\n")?;
    let answer = |length, value| {
        Some(Answer {
            length,
            number: None,
            value,
        })
    };
    let text = &bytes[..line];
    if !text.starts_with(b"VALUE ") {
        let value = match text {
            b"END" | b"STORED" => Ok(None),
            other => Err(format!("memcached: {}", String::from_utf8_lossy(other))),
        };
        return answer(line + 2, value);
    }
    let digits = text.rsplit(|byte| *byte == b' ').next()?;
    let mut length = 0;
    for digit in digits {
        length = length * 10 + usize::from(digit.wrapping_sub(b'0'));
    }
    let start = line + 2;
    let whole = start + length + LAST.len();
    (bytes.len() >= whole).then_some(())?;
    answer(whole, Ok(Some(start..start + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_cut_when_they_are_whole() {
        let value = b"VALUE key:00000001 0 4\r\na\r\nb\r\nEND\r\nSTORED\r\n";
        let whole = value.len() - b"STORED\r\n".len();
        assert!((0..whole).all(|length| cut(&value[..length]).is_none()));
        let answer = cut(value).unwrap();
        assert_eq!(answer.length, whole);
        let at = answer.value.unwrap().unwrap();
        assert_eq!(&value[at], b"a\r\nb");
        assert_eq!(cut(&value[whole..]).unwrap().value, Ok(None));
        assert_eq!(cut(b"END\r\n").unwrap().value, Ok(None));
        assert!(
            cut(b"SERVER_ERROR out of memory\r\n")
                .unwrap()
                .value
                .is_err()
        );
    }
}
