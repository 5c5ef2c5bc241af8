//! Questions of many callers over one socket, written and read by hand, with as little around them as there can be.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::task::{Poll, Waker};

use actix_web::rt;
use cluster_web::{Error, Result};
use slab::Slab;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

/// Questions that are written at once, where as many are there: the best of 8, 16, 32 and 64.
const BATCH: usize = 32;

/// The first answer of what was read.
pub(crate) struct Answer {
    /// How many bytes it takes.
    pub(crate) length: usize,
    /// Whose it is, where it says so; else of the one who waits longest.
    pub(crate) number: Option<usize>,
    /// Where its value is, if it has one; or what is wrong.
    pub(crate) value: Result<Option<Range<usize>>, String>,
}

/// Cuts answers from what was read: nothing where none is whole.
pub(crate) type Cut = fn(&[u8]) -> Option<Answer>;

type Outcome = Result<Option<Vec<u8>>, String>;

enum Waiting {
    Yet(Option<Waker>),
    Over(Outcome),
}

#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    questions: usize,
}

struct Inner {
    writer: OwnedWriteHalf,
    out: RefCell<Out>,
    waiting: RefCell<Slab<Waiting>>,
    /// Who waits, in the order of the questions; for answers that have no number.
    order: RefCell<VecDeque<usize>>,
    ordered: bool,
    wake: Notify,
    broken: Cell<bool>,
}

/// One socket of many callers.
#[derive(Clone)]
pub(crate) struct Multiplex(Rc<Inner>);

impl Multiplex {
    /// Connects; `ordered` where answers have no numbers, and come in the order of the questions.
    pub(crate) async fn connect(socket: &str, ordered: bool, cut: Cut) -> Result<Self> {
        let (reader, writer) = UnixStream::connect(socket).await?.into_split();
        let inner = Rc::new(Inner {
            writer,
            out: RefCell::default(),
            waiting: RefCell::default(),
            order: RefCell::default(),
            ordered,
            wake: Notify::new(),
            broken: Cell::new(false),
        });
        rt::spawn(Rc::clone(&inner).write());
        rt::spawn(Rc::clone(&inner).read(reader, cut));
        Ok(Multiplex(inner))
    }

    /// Asks what `write` writes, under the number that it is given; gives back the value of the answer.
    pub(crate) async fn ask(
        &self,
        write: impl FnOnce(&mut Vec<u8>, usize),
    ) -> Result<Option<Vec<u8>>> {
        let inner = &*self.0;
        if inner.broken.get() {
            return Err(Error::msg("the connection has ended"));
        }
        let number = inner.waiting.borrow_mut().insert(Waiting::Yet(None));
        if inner.ordered {
            inner.order.borrow_mut().push_back(number);
        }
        inner.put(|bytes| write(bytes, number))?;
        let outcome = poll_fn(|cx| {
            let mut waiting = inner.waiting.borrow_mut();
            match &mut waiting[number] {
                Waiting::Yet(waker) => {
                    *waker = Some(cx.waker().clone());
                    Poll::Pending
                }
                Waiting::Over(_) => Poll::Ready(waiting.remove(number)),
            }
        });
        match outcome.await {
            Waiting::Over(outcome) => outcome.map_err(Error::msg),
            Waiting::Yet(_) => Err(Error::msg("it was answered with nothing")),
        }
    }
}

impl Inner {
    fn put(&self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut out = self.out.borrow_mut();
        write(&mut out.bytes);
        out.questions += 1;
        match out.questions {
            BATCH => self.flush(&mut out),
            1 => {
                self.wake.notify_one();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Writes what the socket takes.
    fn flush(&self, out: &mut Out) -> io::Result<()> {
        out.questions = 0;
        match self.writer.try_write(&out.bytes) {
            Ok(written) => drop(out.bytes.drain(..written)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        if !out.bytes.is_empty() {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Writes what is left when all callers have had their turn.
    async fn write(self: Rc<Self>) {
        loop {
            self.wake.notified().await;
            if self.out.borrow().bytes.is_empty() {
                continue;
            }
            let written = match self.writer.writable().await {
                Ok(()) => self.flush(&mut self.out.borrow_mut()),
                Err(e) => Err(e),
            };
            if written.is_err() {
                return;
            }
        }
    }

    async fn read(self: Rc<Self>, mut reader: OwnedReadHalf, cut: Cut) {
        let (mut bytes, mut filled) = (vec![0; 64 * 1024], 0);
        loop {
            match reader.read(&mut bytes[filled..]).await {
                Ok(0) | Err(_) => break,
                Ok(length) => filled += length,
            }
            let mut start = 0;
            while let Some(answer) = cut(&bytes[start..filled]) {
                let body = &bytes[start..start + answer.length];
                let value = answer.value.map(|at| at.map(|at| body[at].to_vec()));
                let next = || self.order.borrow_mut().pop_front();
                if let Some(number) = answer.number.or_else(next) {
                    self.settle(number, value);
                }
                start += answer.length;
            }
            bytes.copy_within(start..filled, 0);
            filled -= start;
        }
        self.broken.set(true);
        let all: Vec<usize> = self
            .waiting
            .borrow()
            .iter()
            .map(|(number, _)| number)
            .collect();
        for number in all {
            self.settle(number, Err("the connection has ended".to_owned()));
        }
    }

    fn settle(&self, number: usize, outcome: Outcome) {
        let mut waiting = self.waiting.borrow_mut();
        if let Some(Waiting::Yet(waker)) = waiting.get_mut(number) {
            let waker = waker.take();
            waiting[number] = Waiting::Over(outcome);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
