//! `cluster completions`

use clap::CommandFactory;

use crate::args::{Cli, Completions};
use crate::error::CliError;
use crate::output;

pub(super) fn completions(completions: &Completions) -> Result<(), CliError> {
    let mut script = Vec::new();
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(completions.shell, &mut command, name, &mut script);
    output::print(&String::from_utf8_lossy(&script)).map_err(CliError::Output)
}
