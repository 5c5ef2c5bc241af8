//! Who may do what by way of the monitor: pure.
//!
//! ```text
//! any request       its Host names this monitor          (a page whose name leads here cannot read what is here)
//! one that acts     from here, or with the token          (nobody acts from afar without one)
//!                   from no page of another site
//! ```

use std::net::{IpAddr, SocketAddr};

use cluster_core::{Options, Secret};
use subtle::ConstantTimeEq;

use crate::ecv::is_same_site;

/// The most bytes that the body of a request may have.
pub(crate) const LONGEST_BODY: usize = 64 * 1024;

/// The most bytes that a token may have, as the option says.
const LONGEST_TOKEN: usize = 256;

/// Who reaches the monitor, as far as its address says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Processes of this machine: it listens on a loopback address, or on a Unix socket.
    Machine,
    /// Whoever the network lets through.
    Network(SocketAddr),
}

impl Reach {
    /// The reach of a socket that is bound to an address; none where it is a Unix one.
    pub(crate) fn of(address: Option<SocketAddr>) -> Self {
        match address {
            Some(address) if !address.ip().to_canonical().is_loopback() => Reach::Network(address),
            _ => Reach::Machine,
        }
    }
}

/// What is asked of a request before it is heard.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    reach: Reach,
    token: Option<Secret>,
    behind_proxy: bool,
    names: Vec<String>,
}

/// What a request says of where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) fetched: Option<&'a str>,
    pub(crate) origin: Option<&'a str>,
    pub(crate) length: Option<&'a str>,
}

/// Why a request is not heard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "the monitor is not known by this name (allowed: its address, localhost, the machine's name, and --mon-name)"
    )]
    Host,
    #[error("its body is too long (allowed: up to {LONGEST_BODY} bytes)")]
    TooLong,
    #[error("a cross-site request is refused")]
    CrossSite,
    #[error(
        "the monitor listens on {0}, where whoever reaches it could act: set a token (--mon-token), or --mon-behind-proxy where a proxy lets in only those who may"
    )]
    NoToken(SocketAddr),
    #[error("the token (--mon-token) is needed: Authorization: Bearer TOKEN")]
    Unauthorized,
}

impl Access {
    pub(crate) fn new(options: &Options, reach: Reach, host_name: Option<String>) -> Self {
        Access {
            reach,
            token: options.mon_token.clone(),
            behind_proxy: options.mon_behind_proxy,
            names: host_name
                .into_iter()
                .chain(options.mon_name.clone())
                .collect(),
        }
    }

    /// Nobody can act, whatever they show: worth a warning when the monitor starts.
    pub(crate) fn nobody_acts(&self) -> Option<SocketAddr> {
        match self.reach {
            Reach::Network(address) if self.token.is_none() && !self.behind_proxy => Some(address),
            _ => None,
        }
    }

    /// Whether what acts needs the token.
    pub(crate) fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether those who come are let in by a proxy, which knows who they are.
    pub(crate) fn is_behind_proxy(&self) -> bool {
        self.behind_proxy
    }

    /// Whether a request may be heard at all.
    pub(crate) fn hear(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        // A page of another name does not know the token.
        let named = asked.host.is_none_or(|host| self.is_named(host)) || self.shows_token(asked);
        if !named {
            return Err(Refusal::Host);
        }
        match asked.length.map(str::parse::<usize>) {
            Some(Ok(length)) if length <= LONGEST_BODY => Ok(()),
            Some(_) => Err(Refusal::TooLong),
            None => Ok(()),
        }
    }

    /// Whether it may act, or see what the application keeps.
    pub(crate) fn act(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if !is_same_site(asked.fetched, asked.origin, asked.host) {
            return Err(Refusal::CrossSite);
        }
        if let Some(address) = self.nobody_acts() {
            return Err(Refusal::NoToken(address));
        }
        if self.needs_token() && !self.shows_token(asked) {
            return Err(Refusal::Unauthorized);
        }
        Ok(())
    }

    fn is_named(&self, host: &str) -> bool {
        let name = without_port(host);
        // Nobody can make an address lead elsewhere.
        name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self
                .names
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
    }

    /// Compared in a time that says nothing of where they differ, nor of the length of ours.
    fn shows_token(&self, asked: &Asked<'_>) -> bool {
        let (Some(token), Some(shown)) = (&self.token, asked.authorization.and_then(bearer)) else {
            return false;
        };
        bool::from(padded(token.reveal()).ct_eq(&padded(shown))) && shown.len() <= LONGEST_TOKEN
    }
}

/// A token, and its length, in a fixed number of bytes.
fn padded(text: &str) -> [u8; LONGEST_TOKEN + 8] {
    let mut out = [0; LONGEST_TOKEN + 8];
    let length = text.len().min(LONGEST_TOKEN);
    out[..length].copy_from_slice(&text.as_bytes()[..length]);
    out[LONGEST_TOKEN..].copy_from_slice(&(text.len() as u64).to_le_bytes());
    out
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn access(address: &str, set: impl FnOnce(&mut Options)) -> Access {
        let mut options = Options::default();
        set(&mut options);
        let reach = Reach::of(Some(address.parse().unwrap()));
        Access::new(&options, reach, Some("node7".to_owned()))
    }

    fn with_token(options: &mut Options) {
        options.mon_token = Some(Secret::new(TOKEN));
    }

    fn from(host: &str) -> Asked<'_> {
        Asked {
            host: Some(host),
            ..Asked::default()
        }
    }

    #[test]
    fn a_name_that_is_not_this_monitors_is_not_heard() {
        let access = access("127.0.0.1:8081", |options| {
            options.mon_name = Some("monitor.example".to_owned());
        });
        for host in [
            "127.0.0.1:8081",
            "[::1]:8081",
            "10.0.0.1",
            "localhost:8081",
            "LOCALHOST",
            "node7:1",
            "monitor.example",
        ] {
            assert_eq!(access.hear(&from(host)), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8081",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "xnode7",
            "",
            ":8081",
            "[",
            "[evil]:1",
        ] {
            assert_eq!(access.hear(&from(host)), Err(Refusal::Host), "{host}");
        }
        assert_eq!(access.hear(&Asked::default()), Ok(()), "no browser");
    }

    #[test]
    fn from_afar_nobody_acts_without_a_token() {
        let far = "10.1.2.3:8081";
        let bare = access(far, |_| {});
        let refusal = bare.act(&from(far)).unwrap_err();
        assert_eq!(refusal, Refusal::NoToken(far.parse().unwrap()));
        assert_eq!(bare.hear(&from(far)), Ok(()), "who looks is welcome");
        assert_eq!(
            access(far, |o| o.mon_behind_proxy = true).act(&from(far)),
            Ok(())
        );
        for near in [
            "127.0.0.1:1",
            "[::1]:1",
            "127.9.9.9:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(access(near, |_| {}).act(&from(near)), Ok(()), "{near}");
        }
        assert_eq!(Reach::of(None), Reach::Machine);
        assert_ne!(
            Reach::of(Some("0.0.0.0:1".parse().unwrap())),
            Reach::Machine
        );
        assert_ne!(Reach::of(Some("[::]:1".parse().unwrap())), Reach::Machine);
    }

    #[test]
    fn a_token_is_needed_wherever_there_is_one() {
        for address in ["127.0.0.1:1", "10.1.2.3:1"] {
            let access = access(address, with_token);
            let long = "x".repeat(1000);
            for shown in [
                None,
                Some(""),
                Some("Bearer"),
                Some("Bearer "),
                Some("Bearer 0123456789abcdeF"),
                Some("Bearer 0123456789abcde"),
                Some("Bearer 0123456789abcdef0"),
                Some("Basic 0123456789abcdef"),
                Some(long.as_str()),
            ] {
                let asked = Asked {
                    authorization: shown,
                    ..from(address)
                };
                assert_eq!(access.act(&asked), Err(Refusal::Unauthorized), "{shown:?}");
            }
            let shown = format!("Bearer {TOKEN}");
            let asked = Asked {
                authorization: Some(&shown),
                ..from("whatever.example")
            };
            assert_eq!(access.act(&asked), Ok(()));
            assert_eq!(
                access.hear(&asked),
                Ok(()),
                "no page of another name knows it"
            );
        }
    }

    #[test]
    fn a_page_of_another_site_does_not_act_though_it_be_near() {
        let access = access("127.0.0.1:1", |_| {});
        let asked = Asked {
            fetched: Some("cross-site"),
            ..from("127.0.0.1:1")
        };
        assert_eq!(access.act(&asked), Err(Refusal::CrossSite));
        let asked = Asked {
            origin: Some("http://evil.example"),
            ..from("127.0.0.1:1")
        };
        assert_eq!(access.act(&asked), Err(Refusal::CrossSite));
    }

    #[test]
    fn a_body_is_bounded_before_it_is_read() {
        let access = access("127.0.0.1:1", |_| {});
        for (length, heard) in [
            ("0", true),
            ("65536", true),
            ("65537", false),
            ("-1", false),
            ("x", false),
        ] {
            let asked = Asked {
                length: Some(length),
                ..from("127.0.0.1:1")
            };
            assert_eq!(access.hear(&asked).is_ok(), heard, "{length}");
        }
    }
}
