//! The bytes that every body of the echo origin is made of.
//!
//! Byte `i` of any body is `PATTERN[i % PERIOD]`, so that origin and load generator agree without talking, and a body
//! of 13 bytes reads `Hello, World!`. The period is a prime: a block that a proxy drops, repeats or puts elsewhere
//! shifts the pattern at every usual buffer size and is seen.
use std::rc::Rc;

/// Length of the pattern in bytes.
pub const PERIOD: usize = 4093;

const GREETING: &[u8] = b"Hello, World!";

/// One period.
pub static PATTERN: [u8; PERIOD] = generate();

/// Whole periods in a [`tile`]; about 256 KiB, large enough that a write per tile costs little.
const TILE_PERIODS: usize = 64;

const fn generate() -> [u8; PERIOD] {
    let mut bytes = [0; PERIOD];
    let mut state: u32 = 0x2545_F491;
    let mut i = 0;
    while i < PERIOD {
        // Numerical Recipes' generator; its upper bits are good enough to tell neighbours apart.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes[i] = if i < GREETING.len() { GREETING[i] } else { b'!' + ((state >> 24) % 94) as u8 };
        i += 1;
    }
    bytes
}

/// Appends `len` bytes of a body, starting at its byte `offset`.
pub fn append(out: &mut Vec<u8>, offset: u64, len: usize) {
    let mut at = (offset % PERIOD as u64) as usize;
    let mut left = len;
    while left > 0 {
        let n = left.min(PERIOD - at);
        out.extend_from_slice(&PATTERN[at..at + n]);
        left -= n;
        at = 0;
    }
}

/// Whether `data` is what a body holds from its byte `offset` on.
pub fn matches(offset: u64, data: &[u8]) -> bool {
    let mut at = (offset % PERIOD as u64) as usize;
    let mut rest = data;
    while !rest.is_empty() {
        let n = rest.len().min(PERIOD - at);
        if rest[..n] != PATTERN[at..at + n] {
            return false;
        }
        rest = &rest[n..];
        at = 0;
    }
    true
}

/// CRC-32 (zlib's) of the first `len` bytes of a body.
pub fn crc32(len: usize) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    let mut left = len;
    while left > 0 {
        let n = left.min(PERIOD);
        hash.update(&PATTERN[..n]);
        left -= n;
    }
    hash.finalize()
}

/// What the origin says of a body that was uploaded to it.
pub fn upload_report(bytes: u64, crc32: u32) -> Vec<u8> {
    format!("{{\"bytes\":{bytes},\"crc32\":\"{crc32:08x}\"}}\n").into_bytes()
}

/// Whole periods in one buffer, to write a long body from.
pub fn tile() -> Rc<Vec<u8>> {
    let mut bytes = Vec::with_capacity(PERIOD * TILE_PERIODS);
    append(&mut bytes, 0, PERIOD * TILE_PERIODS);
    Rc::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_body_is_the_greeting() {
        let mut body = Vec::new();
        append(&mut body, 0, 13);
        assert_eq!(body, GREETING);
    }

    #[test]
    fn the_checksum_is_that_of_the_bytes() {
        for len in [0, 13, 4093, 10_000] {
            let mut body = Vec::new();
            append(&mut body, 0, len);
            assert_eq!(crc32(len), crc32fast::hash(&body), "{len}");
        }
    }

    #[test]
    fn what_is_appended_in_pieces_matches_at_every_offset() {
        let mut body = Vec::new();
        for piece in [1, 4092, 1, 5000, 3, 9000] {
            let offset = body.len() as u64;
            append(&mut body, offset, piece);
        }
        for offset in [0, 1, 4092, 4093, 4094, 8186, 12_000] {
            assert!(matches(offset as u64, &body[offset..]), "at {offset}");
        }
    }

    #[test]
    fn a_lost_byte_or_a_repeated_block_is_seen() {
        let mut body = Vec::new();
        append(&mut body, 0, 100_000);
        assert!(!matches(0, &body[1..]));
        for block in [512, 1024, 4096, 16_384, 65_536] {
            assert!(!matches(block as u64, &body[..block]), "block of {block}");
        }
        body[70_000] ^= 1;
        assert!(!matches(0, &body));
    }
}
