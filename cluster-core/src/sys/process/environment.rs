//! An environment that holds the pid of the child it is made for: a number that is known only once the child is there.

use std::ffi::{CString, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Room for the digits of any pid.
const DIGITS: usize = 10;

unsafe extern "C" {
    /// The environment of this process, as the C library hands it to exec.
    static mut environ: *const *const c_char;
}

/// The variables of a child to be, made before the fork.
pub(super) struct Environment {
    /// `NAME=VALUE` each.
    entries: Vec<CString>,
    /// `NAME=` and room for the pid, to end with a zero.
    own: Box<[u8]>,
    /// The entries, the own one and a null: what exec wants.
    pointers: Box<[*const c_char]>,
}

// SAFETY: the pointers lead to what the value itself owns on the heap, where it stays when the value moves.
unsafe impl Send for Environment {}
// SAFETY: through a shared reference nothing is read or written.
unsafe impl Sync for Environment {}

impl Environment {
    /// This process's own variables without those `removed`, with those `added`, and one that will hold the child's pid.
    ///
    /// # Errors
    /// `InvalidInput` for a name or value with a zero byte in it.
    pub(super) fn with_pid(
        name: &str,
        removed: &[&str],
        added: &[(OsString, OsString)],
    ) -> io::Result<Self> {
        let added_too = |own: &OsStr| added.iter().any(|(name, _)| name == own);
        let kept = std::env::vars_os()
            .filter(|(own, _)| own != name && !removed.iter().any(|r| own == r) && !added_too(own));
        let entries = kept
            .chain(added.iter().cloned())
            .map(|(name, value)| {
                let entry = [name.as_bytes(), b"=", value.as_bytes()].concat();
                CString::new(entry).map_err(|_| io::ErrorKind::InvalidInput.into())
            })
            .collect::<io::Result<Vec<_>>>()?;
        let own = [name.as_bytes(), b"=", &[0; DIGITS + 1]].concat();
        let mut environment = Self {
            entries,
            own: own.into(),
            pointers: Box::default(),
        };
        let own = environment.own.as_ptr().cast();
        let pointers = environment.entries.iter().map(|entry| entry.as_ptr());
        environment.pointers = pointers.chain([own, std::ptr::null()]).collect();
        Ok(environment)
    }

    /// Makes it the environment of this process, the child: async-signal-safe.
    pub(super) fn enter(&mut self) {
        let mut pid = std::process::id();
        let room = self.own.len() - 1;
        let mut digits = [0; DIGITS];
        let mut count = 0;
        while pid > 0 && count < DIGITS {
            digits[count] = b'0' + (pid % 10) as u8;
            pid /= 10;
            count += 1;
        }
        let first = room - DIGITS;
        for (place, digit) in self.own[first..room]
            .iter_mut()
            .zip(digits[..count].iter().rev())
        {
            *place = *digit;
        }
        // SAFETY: the child has one thread, and what is pointed to lives until it runs another program: the closure that owns it is
        // not dropped before. Each pointer but the last, a null, leads to a text that ends with a zero.
        unsafe { environ = self.pointers.as_ptr() };
    }
}
