//! Version 2: a signature, version and command, family and transport, a length, addresses, and then vectors of type, length and
//! value, of which only the checksum is looked at.

use std::net::{IpAddr, SocketAddr};

use super::{Ends, Header, Malformed, crc32c, one_family};
use crate::limits::PROXY_HEADER_V2_BYTES_MAX;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Up to the length, and with it.
const FIXED_BYTES: usize = 16;
const VERSION: u8 = 2;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;
/// Family and transport together.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX: u8 = 0x31;
const TCP4_BYTES: usize = 12;
const TCP6_BYTES: usize = 36;
const UNIX_BYTES: usize = 216;
/// Type of the vector that holds the checksum.
const CRC32C: u8 = 3;

pub(super) fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let seen = bytes.len().min(SIGNATURE.len());
    if bytes.get(..seen) != SIGNATURE.get(..seen) {
        return Err(Malformed("not version 2's signature"));
    }
    // Checked as soon as they are there, not only when all is.
    let command = bytes.get(12).copied().map(command).transpose()?;
    let family = bytes.get(13).copied();
    if let (Some(PROXY), Some(family)) = (command, family)
        && (family >> 4 > 3 || family & 15 > 2)
    {
        return Err(Malformed("no such family or transport"));
    }
    let (Some(command), Some(family), Some([high, low])) = (command, family, bytes.get(14..FIXED_BYTES))
    else {
        return Ok(None);
    };
    let end = FIXED_BYTES + usize::from(u16::from_be_bytes([*high, *low]));
    if end > PROXY_HEADER_V2_BYTES_MAX {
        return Err(Malformed("it is too long"));
    }
    let Some(whole) = bytes.get(..end) else { return Ok(None) };
    // What a LOCAL one says besides is skipped unread, whatever it is.
    let header = if command == LOCAL { Header::Local } else { client(family, whole)? };
    Ok(Some((header, end)))
}

fn command(byte: u8) -> Result<u8, Malformed> {
    match (byte >> 4, byte & 15) {
        (VERSION, command @ (LOCAL | PROXY)) => Ok(command),
        (VERSION, _) => Err(Malformed("no such command")),
        _ => Err(Malformed("no such version")),
    }
}

fn client(family: u8, whole: &[u8]) -> Result<Header, Malformed> {
    let address_bytes = match family {
        TCP4 => TCP4_BYTES,
        TCP6 => TCP6_BYTES,
        UNIX => UNIX_BYTES,
        // UNSPEC, and datagrams, which no connection consists of: where their addresses end is nobody's business.
        _ => return Ok(Header::Local),
    };
    let at = FIXED_BYTES + address_bytes;
    let addresses = whole.get(FIXED_BYTES..at).ok_or(Malformed("its addresses are cut off"))?;
    check_vectors(whole, at)?;
    Ok(match family {
        TCP4 => Header::Client(ends::<4>(addresses)?),
        TCP6 => Header::Client(ends::<16>(addresses)?),
        _ => Header::Unix,
    })
}

/// Two addresses of `N` bytes, two ports.
fn ends<const N: usize>(from: &[u8]) -> Result<Ends, Malformed>
where
    IpAddr: From<[u8; N]>,
{
    let mut rest = from;
    let (source, destination) = (take::<N>(&mut rest)?, take::<N>(&mut rest)?);
    let (source_port, destination_port) = (take::<2>(&mut rest)?, take::<2>(&mut rest)?);
    let end = |ip: [u8; N], port| SocketAddr::new(IpAddr::from(ip), u16::from_be_bytes(port));
    Ok(Ends { source: end(source, source_port), destination: end(destination, destination_port) })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (first, behind) = rest.split_first_chunk().ok_or(Malformed("its addresses are cut off"))?;
    *rest = behind;
    Ok(*first)
}

/// The vectors from `at` on fill the header exactly, and a checksum among them is right.
fn check_vectors(whole: &[u8], mut at: usize) -> Result<(), Malformed> {
    let mut sum = None;
    while at < whole.len() {
        let Some([kind, high, low]) = whole.get(at..at + 3) else { return Err(CUT_VECTOR) };
        let (start, length) = (at + 3, usize::from(u16::from_be_bytes([*high, *low])));
        let value = whole.get(start..start + length).ok_or(CUT_VECTOR)?;
        if *kind == CRC32C {
            let value = <[u8; 4]>::try_from(value).map_err(|_| Malformed("a checksum of another length"))?;
            if sum.replace((start, value)).is_some() {
                return Err(Malformed("more than one checksum"));
            }
        }
        at = start + length;
    }
    let Some((start, said)) = sum else { return Ok(()) };
    // It is of the header with zeros in its own place.
    let parts = [whole.get(..start), Some(&[0; 4][..]), whole.get(start + 4..)];
    let found = crc32c::of(parts.into_iter().flatten());
    if found == u32::from_be_bytes(said) { Ok(()) } else { Err(Malformed("its checksum is wrong")) }
}

const CUT_VECTOR: Malformed = Malformed("a vector is cut off");

pub(super) fn write(out: &mut Vec<u8>, ends: Option<Ends>) {
    out.extend_from_slice(SIGNATURE);
    out.push(VERSION << 4 | PROXY);
    let Some(ends) = ends else { return out.extend_from_slice(&[0; 3]) };
    let Ends { source, destination } = one_family(ends);
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend_from_slice(&[TCP4, 0, TCP4_BYTES as u8]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
        }
        (from, to) => {
            out.extend_from_slice(&[TCP6, 0, TCP6_BYTES as u8]);
            out.extend_from_slice(&octets(from));
            out.extend_from_slice(&octets(to));
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
}

/// `LOCAL`, which has no addresses.
pub(super) fn write_local(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[VERSION << 4 | LOCAL, 0, 0, 0]);
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
