//! The service around the application's own.

use std::{
    future::Future,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use actix_http::{
    ConnectionType, Request, Response, StatusCode,
    body::{BoxBody, MessageBody},
};
use actix_service::Service;
use pin_project_lite::pin_project;

use super::{
    body::{CountedBody, UnderWay},
    meter::Meter,
    scope::RequestScope,
};
use crate::acceptor::gate::Gate;

/// The application's service, counted.
pub(crate) struct Tally<S, B> {
    service: S,
    meter: Arc<Meter>,
    body: PhantomData<fn() -> B>,
}

impl<S, B> Tally<S, B> {
    pub(crate) fn new(service: S, meter: Arc<Meter>) -> Self {
        Tally {
            service,
            meter,
            body: PhantomData,
        }
    }
}

impl<S, B> Service<Request> for Tally<S, B>
where
    S: Service<Request>,
    S::Error: Into<actix_web::Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
{
    type Response = Response<CountedBody<B>>;
    type Error = Response<BoxBody>;
    type Future = Counted<S::Future, B>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service
            .poll_ready(cx)
            .map_err(|error| error.into().error_response().into())
    }

    fn call(&self, request: Request) -> Self::Future {
        let gate = request.conn_data::<Rc<Gate>>().cloned();
        let under_way = UnderWay::begin(gate, Arc::clone(&self.meter));
        let since = Instant::now();
        let _scope = RequestScope::enter();
        // The application's service is a value behind `&self`, built to outlive failed requests.
        let answer = catch_unwind(AssertUnwindSafe(|| self.service.call(request))).ok();
        Counted {
            answer,
            under_way: Some(under_way),
            since,
            body: PhantomData,
        }
    }
}

pin_project! {
    /// An answer to come. Dropped before it came, it counts as abandoned.
    pub(crate) struct Counted<F, B> {
        // None where the handler panicked before it gave a future.
        #[pin]
        answer: Option<F>,
        // None once answered.
        under_way: Option<UnderWay>,
        since: Instant,
        body: PhantomData<fn() -> B>,
    }

    impl<F, B> PinnedDrop for Counted<F, B> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(under_way) = this.project().under_way.take() {
                under_way.meter.abandoned();
            }
        }
    }
}

impl<F, B, R, E> Future for Counted<F, B>
where
    F: Future<Output = Result<R, E>>,
    R: Into<Response<B>>,
    E: Into<actix_web::Error>,
    B: MessageBody + 'static,
{
    type Output = Result<Response<CountedBody<B>>, Response<BoxBody>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = {
            let _scope = RequestScope::enter();
            // After a panic the future is only dropped: nothing sees its broken state.
            catch_unwind(AssertUnwindSafe(|| {
                this.answer.as_mut().as_pin_mut().map(|answer| {
                    answer
                        .poll(cx)
                        .map_ok(Into::into)
                        .map_err(|error| error.into().error_response().into())
                })
            }))
        };
        let (outcome, panicked): (Result<Response<B>, Response<BoxBody>>, bool) = match polled {
            Ok(Some(polled)) => (ready!(polled), false),
            Ok(None) | Err(_) => (Err(Response::internal_server_error()), true),
        };
        // Polled after its end, it has nothing to say.
        let Some(request) = this.under_way.take() else {
            return Poll::Pending;
        };
        if panicked {
            request.meter.panicked();
        }
        let status = match &outcome {
            Ok(response) => response.status(),
            Err(response) => response.status(),
        };
        request.meter.answered(
            this.since.elapsed(),
            status >= StatusCode::INTERNAL_SERVER_ERROR,
        );
        let last = request.is_last();
        Poll::Ready(match outcome {
            Ok(mut response) => {
                // An upgrade's answer says `Connection: upgrade`; such a connection hears of the drain otherwise.
                if last && !response.upgrade() {
                    response
                        .head_mut()
                        .set_connection_type(ConnectionType::Close);
                }
                Ok(response.map_body(|_, body| CountedBody::new(body, request)))
            }
            Err(mut response) => {
                if last || panicked {
                    response
                        .head_mut()
                        .set_connection_type(ConnectionType::Close);
                }
                Err(response.map_body(|_, body| BoxBody::new(CountedBody::new(body, request))))
            }
        })
    }
}
