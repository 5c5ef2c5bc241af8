//! The heads of events, questions and answers, written and read by hand, as every message has one: the same bytes as the codec's, to which
//! the tests hold them, at a fraction of its price.

use crate::id::{ProcessId, WorkerId};
use crate::wire::message::{
    AnswerHead, AskHead, Destination, EventHead, Format, TypeTag, Verdict, WireMessage,
};

pub(crate) use crate::wire::fields::NoField as NoHead;
use crate::wire::fields::{self, Reader};

/// A head under way to the wire. No head is longer: two processes and three numbers.
pub(crate) type Writer = fields::Writer<48>;

impl Writer {
    #[inline]
    fn process(&mut self, process: ProcessId) {
        match process {
            ProcessId::Master => self.put([0]),
            ProcessId::Worker(id) => {
                self.put([1]);
                self.number(id.0.into());
            }
            ProcessId::CacheManager => self.put([2]),
            ProcessId::Operator(n) => {
                self.put([3]);
                self.number(n.into());
            }
        }
    }

    #[inline]
    fn tag(&mut self, tag: TypeTag) {
        self.number(tag.id);
        self.number(tag.fingerprint);
        self.put([tag.format as u8]);
    }
}

impl Reader<'_> {
    #[inline]
    fn process(&mut self) -> Result<ProcessId, NoHead> {
        match self.take()? {
            [0] => Ok(ProcessId::Master),
            [1] => Ok(ProcessId::Worker(WorkerId(self.small_number()?))),
            [2] => Ok(ProcessId::CacheManager),
            [3] => Ok(ProcessId::Operator(self.small_number()?)),
            _ => Err(NoHead),
        }
    }

    #[inline]
    fn format(&mut self) -> Result<Format, NoHead> {
        match self.take()? {
            [0] => Ok(Format::Bincode),
            [1] => Ok(Format::Json),
            _ => Err(NoHead),
        }
    }

    #[inline]
    fn tag(&mut self) -> Result<TypeTag, NoHead> {
        Ok(TypeTag {
            id: self.number()?,
            fingerprint: self.number()?,
            format: self.format()?,
        })
    }
}

/// The head of a message that carries a payload of the application's.
pub(crate) trait Head: WireMessage {
    /// Writes its fields.
    fn put(&self, to: &mut Writer);
    /// Reads its fields.
    fn take(from: &mut Reader<'_>) -> Result<Self, NoHead>;

    /// Appends it to a buffer.
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::default();
        self.put(&mut writer);
        out.extend_from_slice(writer.bytes());
    }

    /// Reads it from the front of a body; the payload is given back beside it.
    #[inline]
    fn read(body: &[u8]) -> Result<(Self, &[u8]), NoHead> {
        let mut reader = Reader::new(body);
        let head = Self::take(&mut reader)?;
        Ok((head, reader.rest()))
    }
}

impl Head for EventHead {
    #[inline]
    fn put(&self, to: &mut Writer) {
        to.process(self.from);
        match self.to {
            Destination::One(process) => {
                to.put([0]);
                to.process(process);
            }
            Destination::Workers => to.put([1]),
        }
        to.tag(self.tag);
    }

    #[inline]
    fn take(from: &mut Reader<'_>) -> Result<Self, NoHead> {
        let sender = from.process()?;
        let to = match from.take()? {
            [0] => Destination::One(from.process()?),
            [1] => Destination::Workers,
            _ => return Err(NoHead),
        };
        Ok(EventHead {
            from: sender,
            to,
            tag: from.tag()?,
        })
    }
}

impl Head for AskHead {
    #[inline]
    fn put(&self, to: &mut Writer) {
        to.process(self.from);
        to.process(self.to);
        to.number(self.correlation);
        to.tag(self.tag);
    }

    #[inline]
    fn take(from: &mut Reader<'_>) -> Result<Self, NoHead> {
        let (sender, to) = (from.process()?, from.process()?);
        Ok(AskHead {
            from: sender,
            to,
            correlation: from.number()?,
            tag: from.tag()?,
        })
    }
}

impl Head for AnswerHead {
    #[inline]
    fn put(&self, to: &mut Writer) {
        to.process(self.from);
        to.process(self.to);
        to.number(self.correlation);
        to.put([self.verdict as u8, self.format as u8]);
    }

    #[inline]
    fn take(from: &mut Reader<'_>) -> Result<Self, NoHead> {
        let (sender, to, correlation) = (from.process()?, from.process()?, from.number()?);
        let verdict = match from.take()? {
            [0] => Verdict::Answered,
            [1] => Verdict::NoHandler,
            [2] => Verdict::Overloaded,
            [3] => Verdict::Undecodable,
            [4] => Verdict::Dead,
            [5] => Verdict::Abandoned,
            _ => return Err(NoHead),
        };
        Ok(AnswerHead {
            from: sender,
            to,
            correlation,
            verdict,
            format: from.format()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec;
    use proptest::prelude::*;

    fn process() -> impl Strategy<Value = ProcessId> {
        prop_oneof![
            Just(ProcessId::Master),
            any::<u32>().prop_map(|n| ProcessId::Worker(WorkerId(n))),
            (0u32..300).prop_map(|n| ProcessId::Worker(WorkerId(n))),
            Just(ProcessId::CacheManager),
            any::<u32>().prop_map(ProcessId::Operator),
        ]
    }

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![
            0u64..260,
            65_530u64..65_540,
            u64::from(u32::MAX) - 2..u64::from(u32::MAX) + 2,
            any::<u64>()
        ]
    }

    fn format() -> impl Strategy<Value = Format> {
        prop_oneof![Just(Format::Bincode), Just(Format::Json)]
    }

    fn tag() -> impl Strategy<Value = TypeTag> {
        (number(), number(), format()).prop_map(|(id, fingerprint, format)| TypeTag {
            id,
            fingerprint,
            format,
        })
    }

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![
            Just(Verdict::Answered),
            Just(Verdict::NoHandler),
            Just(Verdict::Overloaded),
            Just(Verdict::Undecodable),
            Just(Verdict::Dead),
            Just(Verdict::Abandoned),
        ]
    }

    /// Both ways, against the codec.
    fn agree<T: Head + PartialEq + std::fmt::Debug>(head: T) -> Result<(), TestCaseError> {
        let (mut by_hand, mut by_codec) = (Vec::new(), Vec::new());
        head.write(&mut by_hand);
        codec::encode_into(&head, &mut by_codec).unwrap();
        prop_assert_eq!(&by_hand, &by_codec);
        for cut in 0..by_hand.len() {
            prop_assert!(T::read(&by_hand[..cut]).is_err());
        }
        by_hand.extend_from_slice(b"payload");
        let (read, rest) = T::read(&by_hand).unwrap();
        prop_assert_eq!((read, rest), (head, b"payload".as_slice()));
        Ok(())
    }

    proptest! {
        #[test]
        fn events(from in process(), to in prop::option::of(process()), tag in tag()) {
            let to = to.map_or(Destination::Workers, Destination::One);
            agree(EventHead { from, to, tag })?;
        }

        #[test]
        fn questions(from in process(), to in process(), correlation in number(), tag in tag()) {
            agree(AskHead { from, to, correlation, tag })?;
        }

        #[test]
        fn answers(from in process(), to in process(), correlation in number(), verdict in verdict(), format in format()) {
            agree(AnswerHead { from, to, correlation, verdict, format })?;
        }

        #[test]
        fn what_the_codec_refuses_is_refused(bytes in prop::collection::vec(0u8..8, 0..30)) {
            prop_assert_eq!(EventHead::read(&bytes).is_ok(), codec::decode_head::<EventHead>(&bytes).is_ok());
            prop_assert_eq!(AskHead::read(&bytes).is_ok(), codec::decode_head::<AskHead>(&bytes).is_ok());
            prop_assert_eq!(AnswerHead::read(&bytes).is_ok(), codec::decode_head::<AnswerHead>(&bytes).is_ok());
        }
    }
}
