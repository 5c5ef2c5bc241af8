//! `cluster.toml` as a list of values, each with its line. Pure: the text is given.

use std::borrow::Cow;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::entry::{AppFlag, Given, Target};
use super::nearest::nearest;
use super::rule::Shape;
use super::table::{KEYS, key};
use super::{OptionsError, Origin, Place};

/// The group in which the application's own flags stand.
const APP: &str = "app";

/// The values in `text`, in the order of their lines.
pub(super) fn read(path: &Path, text: &str, app: &[AppFlag]) -> Result<Vec<Given>, OptionsError> {
    let reader = Reader { path, text, app };
    let document = DeTable::parse(text).map_err(|error| OptionsError::Syntax {
        path: path.to_owned(),
        line: reader.line(error.span().map_or(0, |span| span.start)),
        cause: error.message().replace('\n', ", "),
    })?;
    let mut given = Vec::new();
    reader.walk(document.get_ref(), "", &mut given)?;
    Ok(given)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    app: &'a [AppFlag],
}

impl Reader<'_> {
    fn walk(
        &self,
        table: &DeTable<'_>,
        group: &str,
        given: &mut Vec<Given>,
    ) -> Result<(), OptionsError> {
        let mut lines: Vec<_> = table.iter().collect();
        lines.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in lines {
            let path = match group {
                "" => name.get_ref().to_string(),
                group => format!("{group}.{}", name.get_ref()),
            };
            let origin = Origin::File {
                path: self.path.to_owned(),
                line: self.line(name.span().start),
            };
            let place = || Place::new(path.as_str(), origin.clone());
            let (target, values) = if let Some(key) = key(&path) {
                let values = texts(value, key.field.shape(), key.field.is_list())
                    .map_err(|found| wrong_type(place(), found, key.field.allowed()))?;
                (Target::Key(key), values)
            } else if let Some(number) = self.app.iter().position(|flag| flag.path() == path) {
                let values = texts(value, Shape::Any, false)
                    .map_err(|found| wrong_type(place(), found, "a single value".to_owned()))?;
                (Target::App(number), values)
            } else if let DeValue::Table(inner) = value.get_ref()
                && groups().any(|known| known == path)
            {
                self.walk(inner, &path, given)?;
                continue;
            } else {
                let is_table = matches!(value.get_ref(), DeValue::Table(_));
                return Err(self.unknown(place(), is_table));
            };
            given.push(Given {
                target,
                origin,
                values,
            });
        }
        Ok(())
    }

    fn unknown(&self, place: Place, is_table: bool) -> OptionsError {
        let app: Vec<String> = self.app.iter().map(AppFlag::path).collect();
        let paths = KEYS
            .iter()
            .filter(|key| key.field.ignored().is_none())
            .map(|key| key.path)
            .chain(app.iter().map(String::as_str));
        let nearest = if is_table {
            nearest(&place.key, groups())
        } else {
            nearest(&place.key, paths)
        };
        OptionsError::Unknown {
            nearest: nearest.map(str::to_owned),
            place: Box::new(place),
        }
    }

    /// The line, counted from 1, in which the byte stands.
    fn line(&self, byte: usize) -> usize {
        let before = self.text.as_bytes().iter().take(byte);
        1 + before.filter(|b| **b == b'\n').count()
    }
}

/// The names that may head a table.
fn groups() -> impl Iterator<Item = &'static str> {
    KEYS.iter()
        .filter_map(|key| key.path.split_once('.').map(|(group, _)| group))
        .chain([APP])
}

/// The texts of a value, or what it is, if it is nothing that the shape allows.
fn texts(
    value: &Spanned<DeValue<'_>>,
    shape: Shape,
    is_list: bool,
) -> Result<Vec<String>, &'static str> {
    match value.get_ref() {
        DeValue::Array(items) if is_list => items.iter().map(|item| text(item, shape)).collect(),
        _ => Ok(vec![text(value, shape)?]),
    }
}

fn text(value: &Spanned<DeValue<'_>>, shape: Shape) -> Result<String, &'static str> {
    use Shape::{Any, Integer, Quantity, Switch, Text};
    let text: Cow<'_, str> = match (value.get_ref(), shape) {
        (DeValue::Boolean(value), Switch | Any) => value.to_string().into(),
        (DeValue::Integer(value), Integer | Quantity | Any) => {
            // Hexadecimal and the like reach the bounds as what they count.
            i128::from_str_radix(value.as_str(), value.radix())
                .map_or_else(|_| value.to_string(), |number| number.to_string())
                .into()
        }
        (DeValue::String(value), Text | Quantity | Any) => value.as_ref().into(),
        (DeValue::Float(value), Any) => value.as_str().into(),
        (other, _) => return Err(type_name(other)),
    };
    Ok(text.into_owned())
}

fn wrong_type(place: Place, found: &'static str, allowed: String) -> OptionsError {
    OptionsError::Type {
        place: Box::new(place),
        found,
        allowed,
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
