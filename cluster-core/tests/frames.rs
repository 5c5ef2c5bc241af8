//! The entry of the fuzzer under seeded random bytes: what `fuzz/` does on nightly, in short, on stable.

use cluster_core::__fuzz::frames;

/// Splitmix64: the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap_or(usize::MAX) % bound
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// A frame whose header is sound more often than not, so that its body is looked at.
fn frame(random: &mut Random, out: &mut Vec<u8>) {
    let length = match random.below(50) {
        0 => 64 * 1024,
        1 => 0,
        _ => random.below(60),
    };
    let mut body = random.bytes(length);
    // Small numbers are what enums and lengths are made of.
    for byte in &mut body {
        if random.below(3) > 0 {
            *byte %= 12;
        }
    }
    let said = match random.below(40) {
        0 => random.next() as u32,
        1 => length as u32 + 1,
        _ => length as u32,
    };
    let kind = random.below(14) as u16;
    let flags = match random.below(20) {
        0 => random.next() as u8,
        1..4 => 1,
        4..9 => 2,
        _ => 0,
    };
    out.extend_from_slice(&said.to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[1, flags]);
    out.extend_from_slice(&body);
}

#[test]
fn random_frames_break_nothing() {
    let mut random = Random(42);
    for _ in 0..4_000 {
        let mut bytes = Vec::new();
        for _ in 0..random.below(12) {
            frame(&mut random, &mut bytes);
        }
        let cut = random.below(8);
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        frames(&bytes);
    }
}

#[test]
fn noise_breaks_nothing() {
    let mut random = Random(7);
    for _ in 0..4_000 {
        let length = random.below(200);
        frames(&random.bytes(length));
    }
}
