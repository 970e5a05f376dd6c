//! PROXY protocol v2, receiving side, strict and bounded.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt> §2.2. Only asked of sources on the allow-list, of
//! which the header is then mandatory; bytes of all others belong to the protocol.

use crate::ProxyError;
use crate::limits::PROXY_BODY_BYTES_MAX;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED_BYTES: usize = 16;
const TLV_CRC32C: u8 = 0x03;

/// What the header says of the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Proxied {
    /// The proxy speaks for itself (health check): the socket's own addresses hold.
    Local,
    /// The proxy relays this client.
    Client {
        /// The client.
        source: SocketAddr,
        /// The address that the client connected to.
        destination: SocketAddr,
    },
}

/// Reads exactly the header, no octet of the protocol behind it. Not cancel-safe: the connection is lost then.
pub(crate) async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Proxied, ProxyError> {
    let mut header = vec![0; FIXED_BYTES];
    // The signature first: something shorter than 16 octets may be a protocol's greeting.
    read(stream, &mut header[..SIGNATURE.len()]).await?;
    check_signature(&header[..SIGNATURE.len()])?;
    read(stream, &mut header[SIGNATURE.len()..]).await?;
    let length = body_length(&header)?;
    header.resize(FIXED_BYTES + length, 0);
    read(stream, &mut header[FIXED_BYTES..]).await?;
    parse(&header)
}

async fn read(stream: &mut (impl AsyncRead + Unpin), into: &mut [u8]) -> Result<(), ProxyError> {
    stream.read_exact(into).await.map(|_| ()).map_err(|_| ProxyError::Absent)
}

fn check_signature(bytes: &[u8]) -> Result<(), ProxyError> {
    if bytes == SIGNATURE {
        Ok(())
    } else if bytes.starts_with(b"PROXY ") {
        Err(ProxyError::Version1)
    } else {
        Err(ProxyError::NotProxy)
    }
}

fn body_length(header: &[u8]) -> Result<usize, ProxyError> {
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if length > PROXY_BODY_BYTES_MAX { Err(ProxyError::TooLong(length)) } else { Ok(length) }
}

/// Parses a whole header.
fn parse(header: &[u8]) -> Result<Proxied, ProxyError> {
    if header.len() < FIXED_BYTES {
        return Err(ProxyError::Truncated);
    }
    check_signature(&header[..SIGNATURE.len()])?;
    let body = &header[FIXED_BYTES..];
    if body.len() != body_length(header)? {
        return Err(ProxyError::Truncated);
    }
    let (addresses, proxied) = match (header[12], header[13]) {
        // §2.2: LOCAL: "must accept the connection and discard the protocol block".
        (0x20, _) => return Ok(Proxied::Local),
        (0x21, 0x11) => (12, ipv4(body)),
        (0x21, 0x21) => (36, ipv6(body)),
        (0x21, family) => return Err(ProxyError::Family(family)),
        (command, _) => return Err(ProxyError::Command(command)),
    };
    let (source, destination) = proxied.ok_or(ProxyError::Truncated)?;
    check_tlvs(header, FIXED_BYTES + addresses)?;
    Ok(Proxied::Client { source, destination })
}

fn ipv4(body: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let body = body.first_chunk::<12>()?;
    let at = |i: usize| Ipv4Addr::new(body[i], body[i + 1], body[i + 2], body[i + 3]);
    let port = |i: usize| u16::from_be_bytes([body[i], body[i + 1]]);
    Some((SocketAddr::from((at(0), port(8))), SocketAddr::from((at(4), port(10)))))
}

fn ipv6(body: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let body = body.first_chunk::<36>()?;
    let at = |i: usize| body[i..].first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets));
    let port = |i: usize| u16::from_be_bytes([body[i], body[i + 1]]);
    // A mapped address is the IPv4 client that limits and journals know.
    let socket = |ip: Ipv6Addr, port| SocketAddr::from((ip.to_canonical(), port));
    Some((socket(at(0)?, port(32)), socket(at(16)?, port(34))))
}

/// Every TLV fits, and the checksum, where there is one, is right (§2.2.3).
fn check_tlvs(header: &[u8], mut at: usize) -> Result<(), ProxyError> {
    while at < header.len() {
        let Some([kind, high, low]) = header[at..].first_chunk::<3>().copied() else {
            return Err(ProxyError::Truncated);
        };
        let value = at + 3;
        at = value + usize::from(u16::from_be_bytes([high, low]));
        let Some(bytes) = header.get(value..at) else { return Err(ProxyError::Truncated) };
        if kind == TLV_CRC32C {
            let mut zeroed = header.to_vec();
            zeroed[value..at].fill(0);
            if bytes != crc32c(&zeroed).to_be_bytes() {
                return Err(ProxyError::Checksum);
            }
        }
    }
    Ok(())
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn v4_body() -> Vec<u8> {
        vec![192, 0, 2, 1, 198, 51, 100, 2, 0xc0, 0x00, 0, 25]
    }

    fn client(source: &str, destination: &str) -> Result<Proxied, ProxyError> {
        Ok(Proxied::Client {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        })
    }

    fn check(bytes: &[u8], expected: Result<Proxied, ProxyError>) {
        let parsed = parse(bytes);
        assert_eq!(parsed, expected, "{bytes:02x?}");
        // The same from a socket, with the protocol's first bytes behind it, left unread.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut wire = bytes.to_vec();
        wire.extend(b"EHLO a\r\n");
        let mut rest = wire.as_slice();
        if parsed.is_ok() {
            assert_eq!(runtime.block_on(read_header(&mut rest)), expected);
            assert_eq!(rest, b"EHLO a\r\n");
        }
    }

    #[test]
    fn tcp_over_both_families() {
        check(&header(0x21, 0x11, &v4_body()), client("192.0.2.1:49152", "198.51.100.2:25"));
        let mut v6 = Vec::new();
        v6.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        v6.extend("2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
        v6.extend([0x10, 0, 0, 25]);
        check(&header(0x21, 0x21, &v6), client("[2001:db8::1]:4096", "[2001:db8::2]:25"));
        let mut mapped = Vec::new();
        mapped.extend("::ffff:192.0.2.9".parse::<Ipv6Addr>().unwrap().octets());
        mapped.extend("::ffff:192.0.2.8".parse::<Ipv6Addr>().unwrap().octets());
        mapped.extend([0, 9, 0, 25]);
        check(&header(0x21, 0x21, &mapped), client("192.0.2.9:9", "192.0.2.8:25"));
    }

    #[test]
    fn local_keeps_the_socket_addresses() {
        check(&header(0x20, 0x00, b""), Ok(Proxied::Local));
        check(&header(0x20, 0x11, &v4_body()), Ok(Proxied::Local));
    }

    #[test]
    fn tlvs_and_their_checksum() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        let mut body = v4_body();
        body.extend([0x04, 0, 2, 0, 0]); // NOOP
        check(&header(0x21, 0x11, &body), client("192.0.2.1:49152", "198.51.100.2:25"));

        body.extend([TLV_CRC32C, 0, 4, 0, 0, 0, 0]);
        let sum = crc32c(&header(0x21, 0x11, &body)).to_be_bytes();
        let end = body.len();
        body[end - 4..].copy_from_slice(&sum);
        check(&header(0x21, 0x11, &body), client("192.0.2.1:49152", "198.51.100.2:25"));
        body[0] ^= 1;
        check(&header(0x21, 0x11, &body), Err(ProxyError::Checksum));
    }

    #[test]
    fn everything_else_is_refused() {
        check(b"PROXY TCP4 192.0.2.1 198.51.100.2 1 25\r\n", Err(ProxyError::Version1));
        check(b"EHLO client.example\r\n", Err(ProxyError::NotProxy));
        check(&header(0x11, 0x11, &v4_body()), Err(ProxyError::Command(0x11)));
        check(&header(0x22, 0x11, &v4_body()), Err(ProxyError::Command(0x22)));
        check(&header(0x21, 0x12, &v4_body()), Err(ProxyError::Family(0x12)));
        check(&header(0x21, 0x31, &[0; 216]), Err(ProxyError::Family(0x31)));
        check(&header(0x21, 0x00, b""), Err(ProxyError::Family(0x00)));
        check(&header(0x21, 0x11, &v4_body()[..11]), Err(ProxyError::Truncated));
        check(&header(0x21, 0x21, &v4_body()), Err(ProxyError::Truncated));
        check(&[&header(0x21, 0x11, &v4_body())[..], b"x"].concat(), Err(ProxyError::Truncated));
        let long = header(0x20, 0, &vec![0; PROXY_BODY_BYTES_MAX + 1]);
        check(&long, Err(ProxyError::TooLong(PROXY_BODY_BYTES_MAX + 1)));
        for tail in [&[0x04][..], &[0x04, 0], &[0x04, 0, 1], &[0x04, 0xff, 0xff, 0]] {
            check(
                &header(0x21, 0x11, &[&v4_body()[..], tail].concat()),
                Err(ProxyError::Truncated),
            );
        }
    }

    #[tokio::test]
    async fn a_cut_header_is_absent_and_a_flood_is_bounded() {
        let whole = header(0x21, 0x11, &v4_body());
        for end in 0..whole.len() {
            assert_eq!(read_header(&mut &whole[..end]).await, Err(ProxyError::Absent), "{end}");
        }
        let long = header(0x21, 0x11, &vec![0; 60_000]);
        let mut rest = long.as_slice();
        assert_eq!(read_header(&mut rest).await, Err(ProxyError::TooLong(60_000)));
        assert_eq!(rest.len(), 60_000);
    }
}
