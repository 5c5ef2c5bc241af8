//! Frames that are not described by the stack pointer nor the frame pointer, which is all that the unwinder knows of: on x86-64 a function
//! with a large frame touches each page of it first, and keeps in `r11` meanwhile how far it is to go. Futures make such frames, and a
//! thread is met there often, as new pages take time.

use std::ops::Range;
use std::sync::Arc;

use addr2line::gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, RegisterRule,
    UnwindContext, UnwindSection, X86_64,
};

use crate::sys::ptrace::Registers;

/// What a file says of unwinding.
pub(super) struct Tables {
    /// Where the file is mapped.
    pub(super) mapped: Range<u64>,
    /// What is added to an address in the file.
    pub(super) bias: u64,
    pub(super) text: u64,
    pub(super) eh_frame: Section,
    pub(super) eh_frame_hdr: Section,
}

/// A section of a file.
#[derive(Clone)]
pub(super) struct Section {
    pub(super) address: u64,
    pub(super) bytes: Arc<[u8]>,
}

impl Tables {
    /// The registers of the caller, where the function that is executed is yet to have its frame; `ip` is the call.
    pub(super) fn caller(
        &self,
        registers: Registers,
        read: impl Fn(u64) -> Result<u64, ()>,
    ) -> Option<Registers> {
        let bases = BaseAddresses::default()
            .set_text(self.text)
            .set_eh_frame(self.eh_frame.address)
            .set_eh_frame_hdr(self.eh_frame_hdr.address);
        let index = EhFrameHdr::new(&self.eh_frame_hdr.bytes, LittleEndian);
        let index = index.parse(&bases, 8).ok()?;
        let frames = EhFrame::<EndianSlice<'_, _>>::new(&self.eh_frame.bytes, LittleEndian);
        let mut context = UnwindContext::new();
        let row = index.table()?.unwind_info_for_address(
            &frames,
            &bases,
            &mut context,
            registers.ip.wrapping_sub(self.bias),
            EhFrame::cie_from_offset,
        );
        let row = row.ok()?;
        let CfaRule::RegisterAndOffset {
            register: X86_64::R11,
            offset,
        } = *row.cfa()
        else {
            return None;
        };
        let frame = registers.r11.wrapping_add_signed(offset);
        let saved = |register| match row.register(register) {
            Some(RegisterRule::Offset(offset)) => read(frame.wrapping_add_signed(offset)).ok(),
            _ => None,
        };
        Some(Registers {
            ip: saved(X86_64::RA)?.wrapping_sub(1),
            sp: frame,
            fp: saved(X86_64::RBP).unwrap_or(registers.fp),
            ..registers
        })
    }
}
