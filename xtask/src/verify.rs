//! `test`: every step that continuous integration runs, each one whatever became of the one before.

mod totals;

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use self::totals::Totals;
use crate::chaos::{self, ChaosArgs, ChaosError};
use crate::packages::{self, Need, PackageError};
use crate::tidy::{self, TidyError};
use crate::{chain, workspace};

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum StepError {
    /// A system package is missing.
    #[error("system packages")]
    Packages(#[from] PackageError),
    /// The files could not be checked.
    #[error("tidy")]
    Tidy(#[from] TidyError),
    /// Files break a rule of the house; each was printed.
    #[error("{0} faults, printed above")]
    Untidy(usize),
    /// Cargo could not be started or read.
    #[error("cannot run cargo")]
    Cargo(#[source] std::io::Error),
    /// A part of the toolchain is missing.
    #[error("{component} is missing; install it with: rustup component add {component}")]
    Component {
        /// Its name for rustup.
        component: &'static str,
    },
    /// Cargo ran and said no.
    #[error("cargo ended with {0}")]
    Failed(std::process::ExitStatus),
    /// A tormented cluster did what it must not.
    #[error("chaos")]
    Chaos(#[from] ChaosError),
}

/// What cargo is told so that a test binary that hangs fails after a quarter of an hour, by `timeout` of the coreutils, and
/// the others run: the longest takes a third of that.
const LIMITED: &str = "target.'cfg(unix)'.runner = ['timeout', '--kill-after=10', '900']";

/// A step that is over.
struct Done {
    name: &'static str,
    took: Duration,
    ok: bool,
}

/// Runs all steps, prints each with its time, and ends with a line for the steps and one for the tests.
pub(crate) fn run(fast: bool, filter: &[String]) -> ExitCode {
    let mut totals = Totals::default();
    let mut done = vec![
        step("packages", || Ok(packages::ensure(Need::Test)?)),
        step("fmt", || {
            component("fmt", "rustfmt")?;
            cargo(&["fmt", "--all", "--check"])
        }),
        step("clippy", || {
            component("clippy", "clippy")?;
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
        }),
        step("tidy", || match tidy::run()? {
            0 => Ok(()),
            faults => Err(StepError::Untidy(faults)),
        }),
        step("build", || {
            cargo(&["build", "--workspace", "--all-targets"])
        }),
    ];
    if !fast {
        done.push(step("doc", || {
            let mut command = workspace::cargo();
            command
                .args(["doc", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings");
            status(&mut command)
        }));
        done.push(step("chaos", || {
            Ok(chaos::run(&ChaosArgs::of_every_run())?)
        }));
        done.push(step("jemalloc", || {
            cargo(&[
                "test",
                "--package",
                "cluster-core",
                "--features",
                "jemalloc",
                "--lib",
                "heap",
            ])
        }));
    }
    // The tests come last, so that their results stand at the end of the log.
    done.push(step("test", || tests(filter, &mut totals)));

    println!("{}", summary(&done));
    println!("{totals}");
    if done.iter().all(|step| step.ok) && totals.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn step(name: &'static str, work: impl FnOnce() -> Result<(), StepError>) -> Done {
    println!("==> {name}");
    let begun = Instant::now();
    let outcome = work();
    let took = begun.elapsed();
    match &outcome {
        Ok(()) => println!("<== {name}: ok, {:.1} s", took.as_secs_f64()),
        Err(error) => println!(
            "<== {name}: FAILED, {:.1} s: {}",
            took.as_secs_f64(),
            chain(error)
        ),
    }
    Done {
        name,
        took,
        ok: outcome.is_ok(),
    }
}

fn component(subcommand: &str, component: &'static str) -> Result<(), StepError> {
    let probe = workspace::cargo()
        .args([subcommand, "--version"])
        .output()
        .map_err(StepError::Cargo)?;
    if probe.status.success() {
        Ok(())
    } else {
        Err(StepError::Component { component })
    }
}

fn cargo(arguments: &[&str]) -> Result<(), StepError> {
    status(workspace::cargo().args(arguments))
}

fn status(command: &mut Command) -> Result<(), StepError> {
    let status = command.status().map_err(StepError::Cargo)?;
    if status.success() {
        Ok(())
    } else {
        Err(StepError::Failed(status))
    }
}

/// Runs the tests, passing their output through while adding up the results in it.
fn tests(filter: &[String], totals: &mut Totals) -> Result<(), StepError> {
    let mut command = workspace::cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--config", LIMITED]);
    if !filter.is_empty() {
        command.arg("--").args(filter);
    }
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(StepError::Cargo)?;
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        // Bytes and not strings: a test may print what is no UTF-8.
        while output
            .read_until(b'\n', &mut line)
            .map_err(StepError::Cargo)?
            > 0
        {
            let text = String::from_utf8_lossy(&line);
            totals.add(&text);
            print!("{text}");
            line.clear();
        }
    }
    let status = child.wait().map_err(StepError::Cargo)?;
    if status.success() {
        Ok(())
    } else {
        Err(StepError::Failed(status))
    }
}

fn summary(done: &[Done]) -> String {
    let steps: Vec<_> = done
        .iter()
        .map(|step| {
            format!(
                "{} {} {:.1} s",
                step.name,
                if step.ok { "ok" } else { "FAILED" },
                step.took.as_secs_f64()
            )
        })
        .collect();
    let all: Duration = done.iter().map(|step| step.took).sum();
    let failed = done.iter().filter(|step| !step.ok).count();
    format!(
        "{} steps, {failed} failed, {:.1} s: {}",
        done.len(),
        all.as_secs_f64(),
        steps.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_failed() {
        let second = Duration::from_secs(1);
        let done = [
            Done {
                name: "fmt",
                took: second,
                ok: true,
            },
            Done {
                name: "tidy",
                took: second,
                ok: false,
            },
        ];
        assert_eq!(
            summary(&done),
            "2 steps, 1 failed, 2.0 s: fmt ok 1.0 s, tidy FAILED 1.0 s"
        );
    }

    #[test]
    fn a_step_that_fails_is_kept_as_failed() {
        assert!(!step("tidy", || Err(StepError::Untidy(2))).ok);
        assert!(step("fmt", || Ok(())).ok);
    }
}
