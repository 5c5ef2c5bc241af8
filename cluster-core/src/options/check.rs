//! What must hold of the whole tree.

use super::table::{KEYS, key};
use super::{EcvMode, Host, Options, OptionsError, Origin, Place};

impl Options {
    /// Checks every bound, and what two keys owe to each other; whoever changes a field calls it afterwards.
    ///
    /// A value that was changed since the options were loaded is said to come from code.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in the order of `--help`.
    pub fn validate(&self) -> Result<(), OptionsError> {
        for key in KEYS {
            key.field
                .check(self)
                .map_err(|fault| fault.at(self.place(key.path), key.field.allowed()))?;
        }
        self.check_tls()?;
        self.check_ports()?;
        if !self.ecv.disabled {
            self.check_ecv()?;
        }
        Ok(())
    }

    /// Whether somebody has set the key of this path, be it to its default.
    pub(crate) fn is_set(&self, path: &'static str) -> bool {
        self.place(path).origin != Origin::Default
    }

    /// The key and where its present value comes from.
    fn place(&self, path: &'static str) -> Place {
        let current = key(path)
            .map(|key| key.field.show(self))
            .unwrap_or_default();
        let origin = match self.settled.get(path) {
            Some(settled) if settled.values == current => settled.origin.clone(),
            Some(_) => Origin::Code,
            None => {
                let default = key(path).map(|key| key.field.show(&Options::default()));
                if default.unwrap_or_default() == current {
                    Origin::Default
                } else {
                    Origin::Code
                }
            }
        };
        Place::new(path, origin)
    }

    fn check_tls(&self) -> Result<(), OptionsError> {
        let (set, needs) = match (&self.tls.cert, &self.tls.key) {
            (Some(_), None) => ("tls.cert", "tls.key"),
            (None, Some(_)) => ("tls.key", "tls.cert"),
            _ => return Ok(()),
        };
        Err(OptionsError::Needs {
            place: Box::new(self.place(set)),
            needs,
            allowed: "both or neither",
        })
    }

    fn check_ports(&self) -> Result<(), OptionsError> {
        // On Unix sockets alone, the application's port is not bound.
        let bound = self.hosts.iter().any(|host| matches!(host, Host::Ip(_)));
        let ports = [
            ("port", Some(self.port).filter(|_| bound)),
            ("mon-port", Some(self.mon_port)),
            ("warm-up-port", Some(self.warm_up_port)),
            ("debug.port", self.debug.port),
            ("debug.web-port", self.debug.web_port),
        ];
        let ports: Vec<(&'static str, u16)> = ports
            .into_iter()
            .filter_map(|(path, port)| Some((path, port.filter(|port| *port != 0)?)))
            .collect();
        match pair(&ports) {
            None => Ok(()),
            Some((first, second, port)) => Err(OptionsError::EqualPorts {
                first: Box::new(self.place(first)),
                second: Box::new(self.place(second)),
                port: *port,
            }),
        }
    }

    fn check_ecv(&self) -> Result<(), OptionsError> {
        if self.ecv.mode == EcvMode::Monitor && self.ecv.monitor.is_none() {
            return Err(OptionsError::Needs {
                place: Box::new(self.place("ecv.mode")),
                needs: "ecv.monitor",
                allowed: "mode control, or monitor with the URL to probe",
            });
        }
        let paths = [
            ("ecv.root", &self.ecv.root),
            ("ecv.mark-up", &self.ecv.mark_up),
            ("ecv.mark-down", &self.ecv.mark_down),
        ];
        match pair(&paths) {
            None => Ok(()),
            Some((first, second, path)) => Err(OptionsError::EqualPaths {
                first: Box::new(self.place(first)),
                second: Box::new(self.place(second)),
                path: (*path).clone(),
            }),
        }
    }
}

/// The first two that have the same value, and the value.
fn pair<'a, T: PartialEq>(
    all: &'a [(&'static str, T)],
) -> Option<(&'static str, &'static str, &'a T)> {
    all.iter()
        .enumerate()
        .find_map(|(number, (second, value))| {
            let earlier = all[..number].iter().find(|(_, other)| other == value);
            earlier.map(|(first, _)| (*first, *second, value))
        })
}
