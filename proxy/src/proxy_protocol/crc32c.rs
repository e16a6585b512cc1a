//! CRC-32C (Castagnoli), RFC 9260 appendix A: the checksum that a version 2 header may bring.

/// The polynomial, its bits in the order in which they come.
const POLYNOMIAL: u32 = 0x82F6_3B78;

static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
}

/// The checksum of all parts together.
pub(super) fn of<'a>(parts: impl Iterator<Item = &'a [u8]>) -> u32 {
    let step = |sum: u32, byte: &u8| sum >> 8 ^ TABLE[usize::from(sum as u8 ^ byte)];
    !parts.flatten().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn known_sums() {
        // RFC 3720 appendix B.4, and the check value that catalogues of CRCs give.
        assert_eq!(of([&b"123456789"[..]].into_iter()), 0xE306_9283);
        assert_eq!(of([&[0; 32][..]].into_iter()), 0x8A91_36AA);
        assert_eq!(of([&[0xFF; 32][..]].into_iter()), 0x62A8_AB43);
        assert_eq!(of([&b"1234"[..], &b""[..], &b"56789"[..]].into_iter()), 0xE306_9283);
    }
}
