//! The harness's own HTTP/1.1: pure functions over bytes, strict enough to judge a proxy by.
pub mod chunked;
pub mod fields;
pub mod request;
pub mod response;

use std::sync::LazyLock;

use memchr::memmem;

/// Why bytes are not HTTP, in a few words.
pub type Reason = &'static str;

static HEAD_END: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\r\n\r\n"));

/// Finds the end of a head (the index after its empty line). `searched` bytes were looked at by an earlier call that
/// found nothing; only what may complete the mark is looked at again.
pub fn find_head_end(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    HEAD_END.find(bytes.get(from..)?).map(|at| from + at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_wherever_the_reads_were_cut() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        for cut in 0..head.len() {
            let expected = if cut >= 27 { Some(27) } else { None };
            assert_eq!(find_head_end(&head[..cut], 0), expected);
            if expected.is_none() {
                assert_eq!(find_head_end(head, cut), Some(27), "cut at {cut}");
            }
        }
    }
}
