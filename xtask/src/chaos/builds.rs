//! Builds of one program: as good as each other, with build ids of their own; and some that are broken.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use object::Object;

use super::acts::Build;

/// Bytes of the linker's id by which the cluster tells builds apart.
const SHOWN: usize = 8;

/// What is left of a program that is cut off: not the half of it, as that may be all that is loaded, before what is for debuggers.
const BEGINNING: usize = 64 * 1024;

/// The builds, and the place of the one that is to run.
#[derive(Debug)]
pub(crate) struct Builds {
    folder: PathBuf,
    good: [PathBuf; 2],
    /// Which of the good ones is in place, or was before a broken one.
    current: usize,
}

/// Why there are no builds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BuildsError {
    /// A file cannot be made.
    #[error("cannot make {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program is no program.
    #[error("cannot read {}", path.display())]
    Program {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: object::Error,
    },
    /// The linker gives no ids: builds could not be told apart.
    #[error("{} has no build id", path.display())]
    NoId {
        /// Which.
        path: PathBuf,
    },
}

impl Builds {
    /// Makes all builds of `program` in a folder, and puts the first in place.
    ///
    /// # Errors
    /// Where a file cannot be made, or the program has no build id.
    pub(crate) fn of(program: &Path, folder: &Path) -> Result<Self, BuildsError> {
        let unreadable = |source| BuildsError::File {
            path: program.to_owned(),
            source,
        };
        let bytes = fs::read(program).map_err(unreadable)?;
        let at = place_of_id(&bytes, program)?;
        let good = [1_u8, 2].map(|number| folder.join(format!("build-{number}")));
        for (number, path) in (1_u8..).zip(&good) {
            make(path, &bytes)?;
            let patch = || {
                let mut file = OpenOptions::new().write(true).open(path)?;
                file.seek(SeekFrom::Start(at as u64))?;
                file.write_all(&[number; SHOWN])
            };
            patch().map_err(|source| BuildsError::File {
                path: path.clone(),
                source,
            })?;
        }
        make(
            &folder.join("truncated"),
            &bytes[..BEGINNING.min(bytes.len() / 2)],
        )?;
        make(&folder.join("failing"), b"#!/bin/sh\nexit 1\n")?;
        let builds = Builds {
            folder: folder.to_owned(),
            good,
            current: 0,
        };
        builds.put(&builds.good[0])?;
        Ok(builds)
    }

    /// Where the cluster is to find its program.
    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join("chaos")
    }

    /// The id of the good build that is in place, or is to be put back.
    pub(crate) fn id(&self) -> String {
        format!("{:02x}", self.current + 1).repeat(SHOWN)
    }

    /// Puts another file in the place of the program, as an installation does: written aside, then renamed.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn install(&self, build: Build) -> Result<(), BuildsError> {
        match build {
            Build::Other => self.put(&self.good[1 - self.current]),
            Build::Truncated => self.put(&self.folder.join("truncated")),
            Build::Failing => self.put(&self.folder.join("failing")),
        }
    }

    /// What was installed last is what runs now.
    pub(crate) fn accepted(&mut self) {
        self.current = 1 - self.current;
    }

    /// Puts the build back that runs.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn put_back(&self) -> Result<(), BuildsError> {
        self.put(&self.good[self.current])
    }

    fn put(&self, file: &Path) -> Result<(), BuildsError> {
        let aside = self.folder.join("aside");
        let put = || {
            fs::hard_link(file, &aside)?;
            // Two names of one file are left as they are by a rename: then it is in place already.
            fs::rename(&aside, self.program())?;
            match fs::remove_file(&aside) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            }
        };
        put().map_err(|source| BuildsError::File {
            path: self.program(),
            source,
        })
    }
}

fn make(path: &Path, bytes: &[u8]) -> Result<(), BuildsError> {
    let made = fs::write(path, bytes)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)));
    made.map_err(|source| BuildsError::File {
        path: path.to_owned(),
        source,
    })
}

/// Where in the program the linker has written its id.
fn place_of_id(bytes: &[u8], path: &Path) -> Result<usize, BuildsError> {
    let path = path.to_owned();
    let id = object::File::parse(bytes).and_then(|program| program.build_id());
    match id {
        Err(source) => Err(BuildsError::Program { path, source }),
        // It is a part of these bytes.
        Ok(Some(id)) if id.len() >= SHOWN => Ok(id.as_ptr().addr() - bytes.as_ptr().addr()),
        Ok(_) => Err(BuildsError::NoId { path }),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn id_of(path: &Path) -> Vec<u8> {
        let bytes = fs::read(path).unwrap();
        let program = object::File::parse(&*bytes).unwrap();
        program.build_id().unwrap().unwrap()[..SHOWN].to_vec()
    }

    #[test]
    fn good_builds_run_and_differ_and_broken_ones_fail() {
        let folder = tempfile::tempdir().unwrap();
        let mut builds = Builds::of(Path::new("/proc/self/exe"), folder.path()).unwrap();
        let runs = |builds: &Builds| {
            loop {
                match Command::new(builds.program()).arg("--list").output() {
                    // A child of another test has not closed yet what was written here.
                    Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy => {}
                    listed => break listed.is_ok_and(|listed| listed.status.success()),
                }
            }
        };
        assert!(runs(&builds));
        assert_eq!(
            (id_of(&builds.program()), builds.id()),
            (vec![1; SHOWN], "01".repeat(SHOWN))
        );
        builds.install(Build::Other).unwrap();
        builds.accepted();
        assert!(runs(&builds));
        assert_eq!(
            (id_of(&builds.program()), builds.id()),
            (vec![2; SHOWN], "02".repeat(SHOWN))
        );
        for broken in [Build::Truncated, Build::Failing] {
            builds.install(broken).unwrap();
            assert!(!runs(&builds));
        }
        builds.put_back().unwrap();
        builds.put_back().unwrap();
        assert!(runs(&builds));
        assert!(!folder.path().join("aside").exists());
    }
}
