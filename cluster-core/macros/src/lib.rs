//! The derives of cluster, and its `main` attribute.
//!
//! Each works in three steps, a file each: *parse* reads what is written, *validate* judges it and names every fault
//! at its place, *expand* writes the implementations and can no longer fail.

mod dependencies;
mod faults;
mod fingerprint;
mod handler_actor;
mod kind_name;
mod main_function;
mod message;
mod root;

use faults::Faults;
use proc_macro::TokenStream;
use quote::ToTokens;
use syn::Path;
use syn::parse::Parse;

/// Makes a struct or enum an event: a value told to other processes, which nobody answers.
///
/// Expands to `actix::Message` (with the result `()`), `Event`, and `HandledBy` for every actor with a matching
/// `actix::Handler`. The type must also be `Serialize + DeserializeOwned + Clone + Send + Sync`, and takes no generic
/// parameters.
///
/// The event is known to other processes by its type's identifier, or by the name given with
/// `#[event(name = "..")]`: 1 to 64 bytes of `A-Z a-z 0-9 . _ : -`. Its fingerprint covers the names, types and serde
/// attributes of its own fields and variants, so that processes of different builds notice a changed layout; a change
/// *inside* a field's type is not seen.
///
/// ```
/// use cluster_core::Event;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, Event)]
/// #[event(name = "prices.changed")]
/// struct PriceChanged {
///     sku: String,
///     cents: u64,
/// }
///
/// assert_eq!(PriceChanged::KIND.name, "prices.changed");
/// ```
#[proc_macro_derive(Event, attributes(event))]
pub fn event(input: TokenStream) -> TokenStream {
    expand(input, message::event)
}

/// Makes a struct or enum a request: a value sent to another process, which answers it.
///
/// `#[reply(TYPE)]` names the type of the answer and is required. Expands to `actix::Message` (with that type as its
/// result), `Request`, and `HandledBy` for every actor with a matching `actix::Handler`. The type must also be
/// `Serialize + DeserializeOwned + Send + Sync`, and takes no generic parameters.
///
/// The name, `#[request(name = "..")]`, and the fingerprint are those of [`Event`](macro@Event); the fingerprint also
/// covers the reply's type.
///
/// ```
/// use cluster_core::Request;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Request)]
/// #[reply(Option<u64>)]
/// struct PriceOf {
///     sku: String,
/// }
///
/// assert_eq!(PriceOf::KIND.name, "PriceOf");
/// ```
#[proc_macro_derive(Request, attributes(request, reply))]
pub fn request(input: TokenStream) -> TokenStream {
    expand(input, message::request)
}

/// Makes an actix actor reachable from every process of the cluster, for the messages listed in `#[handles(..)]`.
///
/// Each listed type derives [`Event`](macro@Event) or [`Request`](macro@Request), and the actor implements
/// `actix::Handler` for it. Expands to `HandlerActor`, the handler through which the cluster delivers, and
/// `actix::Actor` with a plain `actix::Context`. Give `#[handler_actor(custom)]` to write `impl Actor` yourself, for
/// the sake of `started` or `stopped`; its context must be `actix::Context<Self>` all the same.
///
/// ```
/// use actix::{Context, Handler};
/// use cluster_core::{Event, HandlerActor};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, Event)]
/// struct Tick;
///
/// #[derive(HandlerActor)]
/// #[handles(Tick)]
/// struct Clock(u64);
///
/// impl Handler<Tick> for Clock {
///     type Result = ();
///
///     fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
///         self.0 += 1;
///     }
/// }
/// ```
#[proc_macro_derive(HandlerActor, attributes(handles, handler_actor))]
pub fn handler_actor(input: TokenStream) -> TokenStream {
    expand(input, handler_actor::handler_actor)
}

/// Turns `async fn main` into the entry of every process of the cluster, whatever its role.
///
/// The function takes no arguments and returns nothing or a `Result`. An error becomes one line on stderr and a
/// non-zero exit code.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = arguments.into();
    expand(item, |item, root, faults| {
        main_function::main_function(&arguments, item, root, faults)
    })
}

/// What the program is made of, as text: for the monitor, which shows it at `/deps`.
///
/// It is read of the program's `Cargo.lock` when it is built: what the package needs, and what that needs, without what only tests of one's own
/// packages do. Where a lock file does not tell, it says more than less: what other platforms and features that are off need is in it as well.
/// Programs that are built by `cargo auditable build` say it more exactly, and do not need this.
#[proc_macro]
pub fn dependencies(arguments: TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let expanded = dependencies::dependencies(&arguments.into(), &mut faults);
    let mut tokens = faults.into_compile_errors();
    match tokens.is_empty() {
        true => expanded.into(),
        false => {
            tokens.extend(expanded);
            tokens.into()
        }
    }
}

/// Parses, finds the cluster's crate, expands, and puts the faults beside what could be expanded all the same.
fn expand<I: Parse, T: ToTokens>(
    input: TokenStream,
    expansion: impl FnOnce(&I, &Path, &mut Faults) -> T,
) -> TokenStream {
    let mut faults = Faults::default();
    let parsed = syn::parse(input).and_then(|input| Ok((input, root::private_module()?)));
    let expanded = faults
        .sound(parsed)
        .map(|(input, root)| expansion(&input, &root, &mut faults));
    let mut tokens = faults.into_compile_errors();
    expanded.to_tokens(&mut tokens);
    tokens.into()
}
