//! Reads and writes on owned buffers, the way a ring needs them.
use std::io;

use monoio::{
    buf::{IoBuf, IoBufMut, Slice},
    io::{AsyncReadRent, AsyncWriteRent},
};

/// Reads once into the spare capacity of `buf`, appending. Returns 0 at the end of the stream; a full buffer is an
/// error of the caller.
pub async fn read_more<S: AsyncReadRent>(stream: &mut S, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
    let (start, end) = (buf.len(), buf.capacity());
    debug_assert!(start < end, "no room to read into");
    let (result, slice) = stream.read(buf.slice_mut(start..end)).await;
    (result, slice.into_inner())
}

/// Writes all of `buf`. One system call, as a rule: the rest is looped over only when the socket took a part.
pub async fn write_all<S: AsyncWriteRent, B: IoBuf>(stream: &mut S, buf: B) -> (io::Result<()>, B) {
    let len = buf.bytes_init();
    write_range(stream, buf, 0, len).await
}

/// Writes the bytes `start..end` of `buf`.
pub async fn write_range<S: AsyncWriteRent, B: IoBuf>(
    stream: &mut S,
    buf: B,
    start: usize,
    end: usize,
) -> (io::Result<()>, B) {
    debug_assert!(start <= end && end <= buf.bytes_init());
    let mut buf = buf;
    let mut at = start;
    while at < end {
        // SAFETY: at < end <= bytes_init, asserted above and kept by the loop.
        let slice = unsafe { Slice::new_unchecked(buf, at, end) };
        let (result, slice) = stream.write(slice).await;
        buf = slice.into_inner();
        match result {
            Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buf),
            Ok(n) => at += n,
            Err(error) => return (Err(error), buf),
        }
    }
    (Ok(()), buf)
}
