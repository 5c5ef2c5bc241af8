//! The body of an answer: its request is under way until it has been handed over.

use std::{
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_http::body::{BodySize, MessageBody};
use bytes::Bytes;
use pin_project_lite::pin_project;

use super::{meter::Meter, scope::RequestScope};
use crate::acceptor::gate::Gate;

/// A request under way, from its head to the end of its answer's body.
pub(crate) struct UnderWay {
    gate: Option<Rc<Gate>>,
    pub(crate) meter: Arc<Meter>,
}

impl UnderWay {
    pub(crate) fn begin(gate: Option<Rc<Gate>>, meter: Arc<Meter>) -> Self {
        meter.begun();
        if let Some(gate) = &gate {
            gate.request_begun();
        }
        UnderWay { gate, meter }
    }

    /// Whether the answer is to be the last of its connection.
    pub(crate) fn is_last(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.is_draining())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.meter.done();
        if let Some(gate) = &self.gate {
            gate.request_done();
        }
    }
}

/// The body had to be cut short, as the code that produced it panicked.
#[derive(Debug, thiserror::Error)]
#[error("the body of the answer panicked")]
pub(crate) struct BodyPanicked;

pin_project! {
    /// A body, with the request it answers.
    pub(crate) struct CountedBody<B> {
        #[pin]
        body: B,
        request: UnderWay,
    }
}

impl<B> CountedBody<B> {
    pub(crate) fn new(body: B, request: UnderWay) -> Self {
        CountedBody { body, request }
    }
}

impl<B: MessageBody> MessageBody for CountedBody<B> {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.project();
        let body = this.body;
        let polled = {
            let _scope = RequestScope::enter();
            // After a panic the body is dropped without another look: nothing sees its broken state.
            catch_unwind(AssertUnwindSafe(|| body.poll_next(cx)))
        };
        match polled {
            Ok(polled) => polled.map_err(Into::into),
            Err(_) => {
                this.request.meter.panicked();
                Poll::Ready(Some(Err(BodyPanicked.into())))
            }
        }
    }
}
