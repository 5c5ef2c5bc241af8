//! The keys, made as they are needed: a million of them kept would cost the client's memory what is meant to be the cache's.

/// As long as every key is.
pub(crate) const KEY: usize = 12;

/// A key's own text.
#[derive(Clone, Copy)]
pub(crate) struct Key([u8; KEY]);

impl Key {
    /// The key of a number of up to eight digits.
    pub(crate) fn new(number: u64) -> Self {
        let (mut text, mut left) = (*b"key:00000000", number);
        for digit in text[4..].iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        Key(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits are text")
    }
}

/// Numbers without order (xorshift), of which each process and each of its callers has its own.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(caller: u64) -> Self {
        let seed = (u64::from(std::process::id()) << 16) + caller + 1;
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
