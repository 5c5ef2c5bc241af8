//! Reads, writes and their answers, written and read by hand, as they come by the million: the same bytes as the codec's, to which the
//! tests hold them. Everything else is left to the codec.

use cluster_core::endpoint::{self, NoField, Reader, Writer};
use cluster_core::{Closed, CodecError};

use super::{Answer, Ask, Keep, Op, SessionAnswer, SessionAsk, SessionOp, Told, When};

// The numbers of the variants: where they stand in their enums.
const GET: u8 = 1;
const SET: u8 = 2;
const ANSWER: u8 = 0;
const ACCEPTED: u8 = 1;
const ABSENT: u8 = 2;
const HIT: u8 = 3;
const SESSION: u8 = 22;
const SESSION_GET: u8 = 1;
const SESSION_SET: u8 = 2;
const OF_SESSION: u8 = 14;
const SESSION_DONE: u8 = 0;
const SESSION_ABSENT: u8 = 1;
const SESSION_FOUND: u8 = 2;

impl<'a> Ask<'a> {
    /// Appends it to a buffer.
    ///
    /// # Errors
    ///
    /// Why it cannot be written.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut head = Writer::<32>::default();
        head.number(self.number);
        head.number(self.space.into());
        match self.op {
            Op::Get { key, probe } => {
                head.put([GET]);
                put(head, key.as_bytes(), out);
                out.push(probe.into());
                Ok(())
            }
            Op::Set {
                key,
                value,
                keep,
                if_absent,
            } => {
                // One look at the room for all of it.
                out.reserve(64 + key.len() + value.len());
                head.put([SET]);
                put(head, key.as_bytes(), out);
                put(Writer::<9>::default(), value, out);
                let mut rest = Writer::<13>::default();
                rest.number_if_any(keep.expire_ms);
                match keep.persist {
                    None => rest.put([0]),
                    Some(persist) => rest.put([1, persist.into()]),
                }
                rest.put([if_absent.into()]);
                out.extend_from_slice(rest.bytes());
                Ok(())
            }
            Op::Session(SessionAsk {
                store,
                op: SessionOp::Get { key },
            }) => {
                head.put([SESSION]);
                put(head, store.as_bytes(), out);
                let mut op = Writer::<10>::default();
                op.put([SESSION_GET]);
                put(op, key.as_bytes(), out);
                Ok(())
            }
            Op::Session(SessionAsk {
                store,
                op:
                    SessionOp::Set {
                        key,
                        value,
                        ttl_ms,
                        when,
                    },
            }) => {
                out.reserve(80 + store.len() + key.len() + value.len());
                head.put([SESSION]);
                put(head, store.as_bytes(), out);
                let mut op = Writer::<10>::default();
                op.put([SESSION_SET]);
                put(op, key.as_bytes(), out);
                put(Writer::<9>::default(), value, out);
                let mut rest = Writer::<11>::default();
                rest.number_if_any(ttl_ms);
                rest.put([when as u8]);
                out.extend_from_slice(rest.bytes());
                Ok(())
            }
            _ => endpoint::encode(self, out),
        }
    }

    /// Reads one that fills the bytes.
    ///
    /// # Errors
    ///
    /// That the bytes are none.
    #[inline]
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Closed> {
        // What is refused here the codec says why.
        Ask::read_by_hand(Reader::new(bytes)).or_else(|NoField| endpoint::read(bytes))
    }

    /// The namespace and the key of a read or a write, of bytes that need be none.
    #[inline]
    pub(crate) fn peek(bytes: &[u8]) -> Result<(u32, &[u8]), NoField> {
        let mut from = Reader::new(bytes);
        let (_, space) = (from.number()?, from.small_number()?);
        match from.take()? {
            [GET | SET] => Ok((space, from.bytes()?)),
            _ => Err(NoField),
        }
    }

    #[inline]
    fn read_by_hand(mut from: Reader<'a>) -> Result<Self, NoField> {
        let (number, space) = (from.number()?, from.small_number()?);
        let op = match from.take()? {
            [GET] => Op::Get {
                key: from.text()?,
                probe: from.flag()?,
            },
            [SET] => Op::Set {
                key: from.text()?,
                value: from.bytes()?,
                keep: Keep {
                    expire_ms: from.number_if_any()?,
                    persist: match from.flag()? {
                        true => Some(from.flag()?),
                        false => None,
                    },
                },
                if_absent: from.flag()?,
            },
            [SESSION] => Op::Session(SessionAsk {
                store: from.text()?,
                op: SessionOp::read_by_hand(&mut from)?,
            }),
            _ => return Err(NoField),
        };
        from.end()?;
        Ok(Ask { number, space, op })
    }
}

impl<'a> SessionOp<'a> {
    #[inline]
    fn read_by_hand(from: &mut Reader<'a>) -> Result<Self, NoField> {
        match from.take()? {
            [SESSION_GET] => Ok(SessionOp::Get { key: from.text()? }),
            [SESSION_SET] => Ok(SessionOp::Set {
                key: from.text()?,
                value: from.bytes()?,
                ttl_ms: from.number_if_any()?,
                when: match from.take()? {
                    [0] => When::Always,
                    [1] => When::Absent,
                    [2] => When::Present,
                    _ => return Err(NoField),
                },
            }),
            _ => Err(NoField),
        }
    }
}

impl<'a> Told<'a> {
    /// Appends it to a buffer.
    ///
    /// # Errors
    ///
    /// Why it cannot be written.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let Told::Answer {
            number,
            as_of,
            answer,
        } = self
        else {
            return endpoint::encode(self, out);
        };
        let mut head = Writer::<48>::default();
        head.put([ANSWER]);
        head.number(*number);
        head.number(*as_of);
        match answer {
            Answer::Accepted(taken) => head.put([ACCEPTED, (*taken).into()]),
            Answer::Absent => head.put([ABSENT]),
            Answer::Hit { left_ms, value } => {
                head.put([HIT]);
                head.number_if_any(*left_ms);
                put(head, value, out);
                return Ok(());
            }
            Answer::Session(SessionAnswer::Done(done)) => {
                head.put([OF_SESSION, SESSION_DONE, (*done).into()]);
            }
            Answer::Session(SessionAnswer::Absent) => head.put([OF_SESSION, SESSION_ABSENT]),
            Answer::Session(SessionAnswer::Found { left_ms, value }) => {
                head.put([OF_SESSION, SESSION_FOUND]);
                head.number_if_any(*left_ms);
                put(head, value, out);
                return Ok(());
            }
            _ => return endpoint::encode(self, out),
        }
        out.extend_from_slice(head.bytes());
        Ok(())
    }

    /// Reads one that fills the bytes.
    ///
    /// # Errors
    ///
    /// That the bytes are none.
    #[inline]
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Closed> {
        Told::read_by_hand(Reader::new(bytes)).or_else(|NoField| endpoint::read(bytes))
    }

    #[inline]
    fn read_by_hand(mut from: Reader<'a>) -> Result<Self, NoField> {
        let [ANSWER] = from.take()? else {
            return Err(NoField);
        };
        let (number, as_of) = (from.number()?, from.number()?);
        let answer = match from.take()? {
            [ACCEPTED] => Answer::Accepted(from.flag()?),
            [ABSENT] => Answer::Absent,
            [HIT] => Answer::Hit {
                left_ms: from.number_if_any()?,
                value: from.bytes()?,
            },
            [OF_SESSION] => Answer::Session(match from.take()? {
                [SESSION_DONE] => SessionAnswer::Done(from.flag()?),
                [SESSION_ABSENT] => SessionAnswer::Absent,
                [SESSION_FOUND] => SessionAnswer::Found {
                    left_ms: from.number_if_any()?,
                    value: from.bytes()?,
                },
                _ => return Err(NoField),
            }),
            _ => return Err(NoField),
        };
        from.end()?;
        Ok(Told::Answer {
            number,
            as_of,
            answer,
        })
    }
}

/// Appends what has been written, and bytes after their number.
#[inline]
fn put<const N: usize>(mut head: Writer<N>, bytes: &[u8], out: &mut Vec<u8>) {
    head.number(bytes.len() as u64);
    out.extend_from_slice(head.bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..260, 65_530u64..65_540, any::<u64>()]
    }

    fn by_codec<T: serde::Serialize>(message: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        endpoint::encode(message, &mut bytes).unwrap();
        bytes
    }

    /// Both ways, against the codec; `Debug` tells messages apart.
    fn agree(ask: &Ask<'_>) -> Result<(), TestCaseError> {
        let (mut by_hand, by_codec) = (Vec::new(), by_codec(ask));
        ask.write(&mut by_hand).unwrap();
        prop_assert_eq!(&by_hand, &by_codec);
        let read = Ask::read_by_hand(Reader::new(&by_hand)).unwrap();
        prop_assert_eq!(format!("{read:?}"), format!("{ask:?}"));
        match ask.op {
            Op::Get { key, .. } | Op::Set { key, .. } => {
                prop_assert_eq!(Ask::peek(&by_hand), Ok((ask.space, key.as_bytes())));
            }
            _ => prop_assert!(Ask::peek(&by_hand).is_err()),
        }
        for cut in 0..by_hand.len() {
            prop_assert!(Ask::read(&by_hand[..cut]).is_err());
        }
        by_hand.push(0);
        prop_assert!(Ask::read(&by_hand).is_err());
        Ok(())
    }

    proptest! {
        #[test]
        fn questions(number in number(), space in any::<u32>(), key in ".{0,300}", probe in any::<bool>(),
            value in prop::collection::vec(any::<u8>(), 0..300), expire_ms in prop::option::of(number()), persist in any::<Option<bool>>(),
        ) {
            let (key, value) = (key.as_str(), value.as_slice());
            agree(&Ask { number, space, op: Op::Get { key, probe } })?;
            let keep = Keep { expire_ms, persist };
            agree(&Ask { number, space, op: Op::Set { key, value, keep, if_absent: probe } })?;
            for when in [When::Always, When::Absent, When::Present] {
                let op = SessionOp::Set { key, value, ttl_ms: expire_ms, when };
                agree(&Ask { number, space, op: Op::Session(SessionAsk { store: key, op }) })?;
            }
            let op = SessionOp::Get { key };
            agree(&Ask { number, space, op: Op::Session(SessionAsk { store: "web", op }) })?;
            let other = Ask { number, space, op: Op::Del { key } };
            let mut bytes = Vec::new();
            other.write(&mut bytes).unwrap();
            prop_assert_eq!(&bytes, &by_codec(&other));
            let read = Ask::read(&bytes).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{other:?}"));
        }

        #[test]
        fn answers(number in number(), as_of in number(), left_ms in prop::option::of(number()), taken in any::<bool>(),
            value in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let value = value.as_slice();
            let of_sessions = [
                SessionAnswer::Done(taken), SessionAnswer::Absent, SessionAnswer::Found { left_ms, value }, SessionAnswer::Count(number),
            ];
            let of_sessions = of_sessions.map(Answer::Session);
            for answer in [Answer::Accepted(taken), Answer::Absent, Answer::Hit { left_ms, value }, Answer::Removed { value }].into_iter().chain(of_sessions) {
                let told = Told::Answer { number, as_of, answer };
                let mut bytes = Vec::new();
                told.write(&mut bytes).unwrap();
                prop_assert_eq!(&bytes, &by_codec(&told));
                let read = Told::read(&bytes).unwrap();
                prop_assert_eq!(format!("{read:?}"), format!("{told:?}"));
                for cut in 0..bytes.len() {
                    prop_assert!(Told::read(&bytes[..cut]).is_err());
                }
            }
        }

        #[test]
        fn what_the_codec_refuses_is_refused(bytes in prop::collection::vec(0u8..5, 0..20)) {
            let (by_hand, by_codec) = (Ask::read(&bytes), endpoint::read::<Ask<'_>>(&bytes));
            prop_assert_eq!(by_hand.is_ok(), by_codec.is_ok());
            let (by_hand, by_codec) = (Told::read(&bytes), endpoint::read::<Told<'_>>(&bytes));
            prop_assert_eq!(by_hand.is_ok(), by_codec.is_ok());
        }
    }
}
