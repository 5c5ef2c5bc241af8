//! The command line as a list of values, and `--help`. Pure: the arguments are given.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::OsStringValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::entry::{Given, Key, Target};
use super::nearest::nearest;
use super::rule::Shape;
use super::table::KEYS;
use super::{Loader, OptionsError, Origin, Place};

const CONFIG: &str = "config";
const CHECK: &str = "check";
const REST: &str = "rest";
/// Flags that are no keys.
pub(super) const OTHERS: [&str; 4] = [CONFIG, CHECK, "help", "version"];

const LAYERS: &str = "\
Every flag can be set in three places. A flag (--ecv.mark-up /up) goes before a variable \
(CLUSTER_ECV_MARK_UP=/up), and a variable before cluster.toml ([ecv] mark-up = \"/up\"). \
A switch given alone is true; --switch=false turns it off.";

/// What the command line asks for.
pub(super) enum Asked {
    /// To print this and end.
    Print(String),
    /// To run.
    Flags(Flags),
}

/// What the command line says.
pub(super) struct Flags {
    /// The file to read.
    pub(super) config: Option<PathBuf>,
    /// Look at the options, say whether they are in order, and end.
    pub(super) check: bool,
    /// The values, in the order in which they stand.
    pub(super) given: Vec<Given>,
    /// What stands after `--`.
    pub(super) rest: Vec<String>,
}

/// Reads `args`, the first of which is the program.
pub(super) fn read(loader: &Loader, args: &[OsString]) -> Result<Asked, OptionsError> {
    let mut matches = match command(loader, args).try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    Ok(Asked::Print(error.render().to_string()))
                }
                _ => Err(explain(loader, &error)),
            };
        }
    };
    let config = matches
        .remove_many::<OsString>(CONFIG)
        .and_then(Iterator::last)
        .map(PathBuf::from);
    let mut found = Vec::new();
    for key in KEYS {
        for flag in key.flags() {
            collect(&mut matches, Target::Key(key), &flag, &mut found)?;
        }
    }
    for (number, flag) in loader.flags.iter().enumerate() {
        collect(&mut matches, Target::App(number), &flag.name, &mut found)?;
    }
    found.sort_by_key(|(place, _)| *place);
    let rest = matches.remove_many::<OsString>(REST).into_iter().flatten();
    let rest = rest.map(|argument| {
        argument.into_string().map_err(|_| OptionsError::NotUtf8 {
            place: Box::new(Place::new(REST, Origin::Flag("--".to_owned()))),
        })
    });
    Ok(Asked::Flags(Flags {
        config,
        check: matches.get_flag(CHECK),
        given: found.into_iter().map(|(_, given)| given).collect(),
        rest: rest.collect::<Result<_, _>>()?,
    }))
}

/// Takes out every value of one spelling, each with its place on the command line; a list stays together.
fn collect(
    matches: &mut ArgMatches,
    target: Target,
    flag: &str,
    found: &mut Vec<(usize, Given)>,
) -> Result<(), OptionsError> {
    let places: Vec<usize> = matches.indices_of(flag).into_iter().flatten().collect();
    let Some(values) = matches.remove_many::<OsString>(flag) else {
        return Ok(());
    };
    let origin = Origin::Flag(format!("--{flag}"));
    let values: Vec<String> = values
        .map(OsString::into_string)
        .collect::<Result<_, _>>()
        .map_err(|_| OptionsError::NotUtf8 {
            place: Box::new(Place::new(flag, origin.clone())),
        })?;
    let given = |values| Given {
        target,
        origin: origin.clone(),
        values,
    };
    match target {
        Target::Key(key) if key.field.is_list() => {
            found.push((places.first().copied().unwrap_or_default(), given(values)));
        }
        _ => found.extend(
            places
                .into_iter()
                .zip(values)
                .map(|(place, value)| (place, given(vec![value]))),
        ),
    }
    Ok(())
}

fn command(loader: &Loader, args: &[OsString]) -> Command {
    let program = loader.program_name(args);
    let mut command = Command::new(program.clone())
        .bin_name(program)
        .version(loader.version_line())
        .after_help(LAYERS)
        .max_term_width(110)
        .next_line_help(true)
        .arg(valued(CONFIG, "FILE").help(
            "The file to read [default: CLUSTER_CONFIG, else ./cluster.toml if there is one]",
        ))
        .arg(
            Arg::new(CHECK)
                .long(CHECK)
                .action(ArgAction::SetTrue)
                .help("Read all options, say whether they are in order, and start nothing"),
        );
    if let Some(about) = &loader.about {
        command = command.about(about.clone());
    }
    for flag in &loader.flags {
        let mut help = flag.help.clone();
        if let Some(default) = &flag.default {
            help.push_str(&format!(" [default: {default}]"));
        }
        command = command.arg(
            valued(&flag.name, "VALUE")
                .help(help)
                .help_heading("The application's own"),
        );
    }
    for key in KEYS {
        for (number, flag) in key.flags().iter().enumerate() {
            command =
                command.arg(argument(key, flag).hide(number > 0 || key.field.ignored().is_some()));
        }
    }
    command.arg(
        Arg::new(REST)
            .last(true)
            .num_args(0..)
            .value_name("ARGUMENT")
            .value_parser(OsStringValueParser::new())
            .help("What the application takes"),
    )
}

fn valued(flag: &str, placeholder: &str) -> Arg {
    Arg::new(flag.to_owned())
        .long(flag.to_owned())
        .value_name(placeholder.to_owned())
        .action(ArgAction::Append)
        .value_parser(OsStringValueParser::new())
}

fn argument(key: &Key, flag: &str) -> Arg {
    let field = key.field;
    let default = key.default.words();
    let help = match field.shape() {
        Shape::Integer | Shape::Quantity => {
            format!("{} [{}; default: {default}]", key.help, field.allowed())
        }
        _ => format!("{} [default: {default}]", key.help),
    };
    let argument = valued(flag, &field.placeholder())
        .help(help)
        .help_heading(key.heading);
    match field.shape() {
        Shape::Switch | Shape::Any => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        _ => argument,
    }
}

/// The parser's error as one of ours.
fn explain(loader: &Loader, error: &clap::Error) -> OptionsError {
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.as_str(),
        _ => "",
    };
    // It is shown as in `--help`, with its placeholder.
    let flag = argument
        .split([' ', '=', '[', '<'])
        .next()
        .unwrap_or_default();
    let name = flag.trim_start_matches('-');
    let place = |key: &str| Box::new(Place::new(key, Origin::Flag(flag.to_owned())));
    match error.kind() {
        ErrorKind::UnknownArgument if flag.starts_with('-') => OptionsError::Unknown {
            place: place(name),
            nearest: nearest_flag(loader, name),
        },
        ErrorKind::UnknownArgument => OptionsError::UnexpectedArgument {
            argument: argument.to_owned(),
        },
        ErrorKind::InvalidValue | ErrorKind::TooFewValues | ErrorKind::NoEquals => {
            let key = KEYS
                .iter()
                .find(|key| key.flags().iter().any(|flag| flag == name));
            OptionsError::MissingValue {
                place: place(key.map_or(name, |key| key.path)),
                allowed: key.map_or_else(|| "any text".to_owned(), |key| key.field.allowed()),
            }
        }
        kind => OptionsError::RefusedArgument {
            argument: argument.to_owned(),
            reason: kind.as_str().unwrap_or("the arguments cannot be read"),
        },
    }
}

/// The flag most like `name`; a hidden spelling counts for the one that is shown.
fn nearest_flag(loader: &Loader, name: &str) -> Option<String> {
    let shown = KEYS.iter().filter(|key| key.field.ignored().is_none());
    let spelled: Vec<(String, &str)> = shown
        .flat_map(|key| key.flags().into_iter().map(|flag| (flag, key.path)))
        .chain(
            loader
                .flags
                .iter()
                .map(|flag| (flag.name.clone(), flag.name.as_str())),
        )
        .chain(OTHERS.map(|flag| (flag.to_owned(), flag)))
        .collect();
    let found = nearest(name, spelled.iter().map(|(flag, _)| flag.as_str()))?;
    let (_, shown) = spelled.iter().find(|(flag, _)| flag == found)?;
    Some(format!("--{shown}"))
}
