//! The program that a process runs and its libraries: how their frames are unwound, and which file an address is of.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, Module, UnwindRegsNative, Unwinder, UnwinderNative,
};
use object::elf::PF_X;
use object::{Object, ObjectSection, ObjectSegment, ReadCache, ReadRef, SegmentFlags};

use super::maps::{self, Mapping};
use super::probes::{Section, Tables};
use crate::sys::ptrace::Registers;

/// A stack has no more frames than this; what is deeper is cut off.
pub(super) const DEEPEST: usize = 256;
/// The smallest page that any processor has, in bytes: what is mapped begins with one.
const PAGE: u64 = 4096;
/// The code that the kernel maps into each process is no longer than this, in bytes.
const KERNELS: u64 = 64 * 1024;

/// A file that code is mapped from.
#[derive(Clone, Debug)]
pub(super) struct Image {
    start: u64,
    end: u64,
    /// What is added to an address in the file.
    pub(super) bias: u64,
    /// Its name, to be shown.
    pub(super) name: String,
    /// Where it can be read.
    pub(super) path: Option<PathBuf>,
}

/// All that code is executed from in one process.
pub(super) struct Program {
    images: Vec<Image>,
    /// Of those files that have any.
    tables: Vec<Tables>,
    unwinder: UnwinderNative<Arc<[u8]>, framehop::MayAllocateDuringUnwind>,
    cache: CacheNative<framehop::MayAllocateDuringUnwind>,
}

impl Program {
    /// Reads what a process runs at this moment. `memory` is `/proc/PID/mem`.
    pub(super) fn of(pid: u32, memory: &File) -> io::Result<Self> {
        let mut program = Program {
            images: Vec::new(),
            tables: Vec::new(),
            unwinder: UnwinderNative::new(),
            cache: CacheNative::new(),
        };
        // A program that was replaced on disk is still there under this name.
        let exe = PathBuf::from(format!("/proc/{pid}/exe"));
        let exe_name = fs::read_link(&exe)?.to_string_lossy().into_owned();
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        for mapping in maps::executable(&maps) {
            if mapping.name == exe_name {
                program.add_file(mapping, exe.clone());
            } else if mapping.name.starts_with('/') {
                // As the process sees it, which may have another root.
                let path = format!("/proc/{pid}/root{}", mapping.name).into();
                program.add_file(mapping, path);
            } else if mapping.name == "[vdso]" {
                program.add_kernels(&mapping, memory);
            }
        }
        Ok(program)
    }

    /// The image that an address lies in.
    pub(super) fn image(&self, address: u64) -> Option<&Image> {
        let image = self.images.iter();
        image
            .into_iter()
            .find(|image| (image.start..image.end).contains(&address))
    }

    /// The addresses of the frames of a stack, the innermost first: what is executed there, or where a call was made.
    pub(super) fn unwind(&mut self, registers: Registers, stack: &[u8]) -> Vec<u64> {
        let mut read = |address: u64| {
            let at = address.checked_sub(registers.sp).ok_or(())?;
            let at = usize::try_from(at).map_err(drop)?;
            let bytes = stack.get(at..at + 8).ok_or(())?;
            Ok(u64::from_le_bytes(bytes.try_into().map_err(drop)?))
        };
        let mut addresses = Vec::new();
        let tables = self
            .tables
            .iter()
            .find(|tables| tables.mapped.contains(&registers.ip));
        let caller = tables.and_then(|tables| tables.caller(registers, read));
        addresses.extend(caller.map(|_| registers.ip));
        let from = caller.unwrap_or(registers);
        let mut frames =
            self.unwinder
                .iter_frames(from.ip, native(from), &mut self.cache, &mut read);
        while let Ok(Some(frame)) = frames.next() {
            addresses.push(frame.address_for_lookup());
            if addresses.len() == DEEPEST {
                break;
            }
        }
        addresses
    }

    /// A file that cannot be read is left out: its frames end the stack, or are passed by their frame pointers.
    fn add_file(&mut self, mapping: Mapping, path: PathBuf) {
        let Ok(file) = File::open(&path) else { return };
        let cached = ReadCache::new(file);
        if let Some(bias) = self.add_module(&mapping, &cached) {
            self.images.push(Image {
                start: mapping.start,
                end: mapping.end,
                bias,
                name: mapping.name,
                path: Some(path),
            });
        }
    }

    fn add_kernels(&mut self, mapping: &Mapping, memory: &File) {
        let length = (mapping.end - mapping.start).min(KERNELS);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        if memory.read_exact_at(&mut bytes, mapping.start).is_ok()
            && let Some(bias) = self.add_module(mapping, &*bytes)
        {
            self.images.push(Image {
                start: mapping.start,
                end: mapping.end,
                bias,
                name: mapping.name.clone(),
                path: None,
            });
        }
    }

    /// Adds what an ELF file says of unwinding; gives back how far from its own addresses it is mapped.
    fn add_module<'a>(&mut self, mapping: &Mapping, data: impl ReadRef<'a>) -> Option<u64> {
        let file = object::File::parse(data).ok()?;
        // The segment that was mapped from there: whole pages are, so that it may begin a little later.
        let segment = file.segments().find(|segment| {
            let (offset, size) = segment.file_range();
            let is_code = matches!(segment.flags(), SegmentFlags::Elf { p_flags, .. } if p_flags & PF_X == PF_X);
            is_code && (offset & !(PAGE - 1)..offset + size).contains(&mapping.offset)
        })?;
        let in_file = segment.address().wrapping_sub(segment.file_range().0);
        let bias = mapping
            .start
            .wrapping_sub(mapping.offset.wrapping_add(in_file));
        let range = |name| {
            let section = file.section_by_name(name)?;
            Some(section.address()..section.address() + section.size())
        };
        let bytes = |name| {
            let section = file.section_by_name(name)?;
            let data = section.uncompressed_data().ok()?;
            Some(Arc::<[u8]>::from(&*data))
        };
        let section = |range: &Option<Range<u64>>, bytes: &Option<Arc<[u8]>>| {
            Some(Section {
                address: range.as_ref()?.start,
                bytes: bytes.clone()?,
            })
        };
        let sections = ExplicitModuleSectionInfo {
            base_svma: 0,
            text_svma: range(".text"),
            text: bytes(".text"),
            got_svma: range(".got"),
            eh_frame_svma: range(".eh_frame"),
            eh_frame: bytes(".eh_frame"),
            eh_frame_hdr_svma: range(".eh_frame_hdr"),
            eh_frame_hdr: bytes(".eh_frame_hdr"),
            ..Default::default()
        };
        let addresses = mapping.start..mapping.end;
        let eh_frame = section(&sections.eh_frame_svma, &sections.eh_frame);
        let eh_frame_hdr = section(&sections.eh_frame_hdr_svma, &sections.eh_frame_hdr);
        if let (Some(eh_frame), Some(eh_frame_hdr)) = (eh_frame, eh_frame_hdr) {
            self.tables.push(Tables {
                mapped: addresses.clone(),
                bias,
                text: sections.text_svma.as_ref().map_or(0, |text| text.start),
                eh_frame,
                eh_frame_hdr,
            });
        }
        let module = Module::new(mapping.name.clone(), addresses, bias, sections);
        self.unwinder.add_module(module);
        Some(bias)
    }
}

#[cfg(target_arch = "x86_64")]
fn native(registers: Registers) -> UnwindRegsNative {
    UnwindRegsNative::new(registers.ip, registers.sp, registers.fp)
}

#[cfg(target_arch = "aarch64")]
fn native(registers: Registers) -> UnwindRegsNative {
    UnwindRegsNative::new(registers.lr, registers.sp, registers.fp)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::io::{BufRead, BufReader};
    use std::mem::MaybeUninit;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::look::symbols::Symbols;
    use crate::sys::ptrace::Tracer;

    const TURNS: &str = "CLUSTER_TEST_TOUCHES_PAGES";

    /// A process that is killed when this is dropped.
    struct Gone(Child);

    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Its frame has many pages, and most of its time goes into touching them.
    #[inline(never)]
    fn touches_pages() {
        let pages = MaybeUninit::<[u8; 256 * 1024]>::uninit();
        black_box(&pages);
    }

    /// Not a test of its own, but the process that another one looks at.
    #[test]
    fn a_process_that_touches_pages() {
        if std::env::var_os(TURNS).is_none() {
            return;
        }
        println!("\nruns");
        loop {
            touches_pages();
        }
    }

    #[test]
    fn a_stack_is_whole_wherever_a_thread_is_met() {
        let name = "look::program::tests::a_process_that_touches_pages";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(TURNS, "")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut child = Gone(child);
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "runs"));
        let pid = child.0.id();
        let mut tracer = Tracer::of(pid).unwrap();
        let mut program = Program::of(pid, tracer.memory()).unwrap();
        let (mut symbols, mut stack) = (Symbols::default(), vec![1; 512 * 1024]);
        let threads = crate::look::threads::of(pid).unwrap();
        let runs = |thread: &&i32| {
            let about = crate::look::threads::about(pid, **thread);
            about.is_some_and(|(name, _)| name.starts_with("look::"))
        };
        let thread = *threads.iter().find(runs).unwrap();
        for _ in 0..500 {
            let read = tracer.read(thread, &mut stack, std::time::Duration::from_secs(5));
            let (registers, length, _) = read.unwrap();
            let addresses = program.unwind(registers, &stack[..length]);
            let mut names = Vec::new();
            for address in addresses {
                let here = symbols.at(&program, address).iter();
                names.extend(here.map(|symbol| symbol.function.clone()));
            }
            let has = |what: &str| names.iter().any(|name| name.ends_with(what));
            assert!(has("a_process_that_touches_pages"), "{names:#?}");
            assert!(has("::thread_start"), "{names:#?}");
        }
    }
}
