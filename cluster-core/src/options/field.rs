//! How a key reaches its field of the tree, whatever the type of the field.

use super::rule::{Fault, MAX_VALUE, Rule, Shape};
use super::{Host, Options};

/// A field of the tree, read and written as text.
pub(super) trait Field: Sync {
    /// What `cluster.toml` may hold.
    fn shape(&self) -> Shape;
    /// What stands for the value in `--help`.
    fn placeholder(&self) -> String;
    /// What is allowed, for `--help` and for errors.
    fn allowed(&self) -> String;
    /// Sets the field to what the texts stand for, or leaves it as it is.
    fn set(&self, options: &mut Options, values: &[String]) -> Result<(), Fault>;
    /// The field's value as texts: none if it is unset, several only if it is a list.
    fn show(&self, options: &Options) -> Vec<String>;
    /// Whether the field, as it is, keeps its own bounds.
    fn check(&self, options: &Options) -> Result<(), Fault>;
    /// Whether it takes several values.
    fn is_list(&self) -> bool {
        false
    }
    /// Why the key, though accepted, means nothing here.
    fn ignored(&self) -> Option<&'static str> {
        None
    }
}

/// The way to a field.
pub(super) struct Lens<T> {
    pub(super) get: fn(&Options) -> &T,
    pub(super) get_mut: fn(&mut Options) -> &mut T,
}

/// A field that always has a value.
pub(super) struct One<R: Rule> {
    pub(super) at: Lens<R::Value>,
    pub(super) rule: R,
}

/// A field that may be unset.
pub(super) struct Maybe<R: Rule> {
    pub(super) at: Lens<Option<R::Value>>,
    pub(super) rule: R,
}

/// The list of hosts.
pub(super) struct Hosts {
    pub(super) at: Lens<Vec<Host>>,
    pub(super) max: usize,
}

/// No field: the key is accepted with a warning.
pub(super) struct Ignored {
    pub(super) why: &'static str,
}

/// The only value of a field that is no list.
fn single<R: Rule>(rule: &R, values: &[String]) -> Result<R::Value, Fault> {
    match values {
        [value] if value.len() > MAX_VALUE => Err(Fault::TooLong(value.len())),
        [value] => rule.parse(value),
        _ => Err(Fault::Count(values.len())),
    }
}

impl<R: Rule> Field for One<R> {
    fn shape(&self) -> Shape {
        R::SHAPE
    }

    fn placeholder(&self) -> String {
        self.rule.placeholder()
    }

    fn allowed(&self) -> String {
        self.rule.allowed()
    }

    fn set(&self, options: &mut Options, values: &[String]) -> Result<(), Fault> {
        *(self.at.get_mut)(options) = single(&self.rule, values)?;
        Ok(())
    }

    fn show(&self, options: &Options) -> Vec<String> {
        vec![self.rule.show((self.at.get)(options))]
    }

    fn check(&self, options: &Options) -> Result<(), Fault> {
        single(&self.rule, &self.show(options)).map(drop)
    }
}

impl<R: Rule> Field for Maybe<R> {
    fn shape(&self) -> Shape {
        R::SHAPE
    }

    fn placeholder(&self) -> String {
        self.rule.placeholder()
    }

    fn allowed(&self) -> String {
        self.rule.allowed()
    }

    fn set(&self, options: &mut Options, values: &[String]) -> Result<(), Fault> {
        *(self.at.get_mut)(options) = Some(single(&self.rule, values)?);
        Ok(())
    }

    fn show(&self, options: &Options) -> Vec<String> {
        let value = (self.at.get)(options).as_ref();
        value
            .map(|value| self.rule.show(value))
            .into_iter()
            .collect()
    }

    fn check(&self, options: &Options) -> Result<(), Fault> {
        match &self.show(options)[..] {
            [] => Ok(()),
            shown => single(&self.rule, shown).map(drop),
        }
    }
}

impl Hosts {
    fn read(&self, values: &[String]) -> Result<Vec<Host>, Fault> {
        if values.is_empty() || values.len() > self.max {
            return Err(Fault::Count(values.len()));
        }
        let mut hosts = Vec::with_capacity(values.len());
        for value in values {
            let host = Host::parse(value).ok_or_else(|| Fault::Malformed {
                value: value.clone(),
                noun: "a host",
            })?;
            if hosts.contains(&host) {
                return Err(Fault::Repeated(host));
            }
            hosts.push(host);
        }
        Ok(hosts)
    }
}

impl Field for Hosts {
    fn shape(&self) -> Shape {
        Shape::Text
    }

    fn placeholder(&self) -> String {
        "HOST".to_owned()
    }

    fn allowed(&self) -> String {
        let path = Host::MAX_PATH;
        format!(
            "1 to {} of an IPv4 or IPv6 address or unix:PATH of 1 to {path} bytes",
            self.max
        )
    }

    fn set(&self, options: &mut Options, values: &[String]) -> Result<(), Fault> {
        *(self.at.get_mut)(options) = self.read(values)?;
        Ok(())
    }

    fn show(&self, options: &Options) -> Vec<String> {
        (self.at.get)(options)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn check(&self, options: &Options) -> Result<(), Fault> {
        self.read(&self.show(options)).map(drop)
    }

    fn is_list(&self) -> bool {
        true
    }
}

impl Field for Ignored {
    fn shape(&self) -> Shape {
        Shape::Any
    }

    fn placeholder(&self) -> String {
        "ANY".to_owned()
    }

    fn allowed(&self) -> String {
        "anything, it is ignored".to_owned()
    }

    fn set(&self, _: &mut Options, _: &[String]) -> Result<(), Fault> {
        Ok(())
    }

    fn show(&self, _: &Options) -> Vec<String> {
        Vec::new()
    }

    fn check(&self, _: &Options) -> Result<(), Fault> {
        Ok(())
    }

    fn ignored(&self) -> Option<&'static str> {
        Some(self.why)
    }
}
