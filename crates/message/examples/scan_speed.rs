//! Megabytes per second of the scanner: `cargo run --release -p palombe-message --example scan_speed`.

use palombe_message::{Limits, Scanner, Structure};
use std::hint::black_box;
use std::time::Instant;

fn main() {
    let line = [
        b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3"
            .as_slice(),
        b"\r\n",
    ]
    .concat();
    let mut base64 =
        b"From: a@b.fr\r\nContent-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n--=_b\r\n\
        Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            .to_vec();
    base64.extend(line.repeat(1024 * 1024 / line.len()));
    base64.extend_from_slice(b"--=_b--\r\n");
    measure("1 MiB base64 in a multipart", &base64);
    let dashes = b"-- \r\n".repeat(200_000);
    measure(
        "1 MB of lines that begin with --",
        &[base64[..60].to_vec(), b"\r\n\r\n".to_vec(), dashes].concat(),
    );
    let mut small = b"Received: from a by b; Sat, 21 Nov 2026 10:00:00 +0000\r\n".repeat(20);
    small.extend_from_slice(b"From: a@b.fr\r\nSubject: x\r\n\r\n");
    small.extend(b"Bonjour, ceci est une ligne de texte ordinaire.\r\n".repeat(60));
    measure("4 KiB plain message", &small);
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(&small);
    let row = scanner.finish().encode();
    let start = Instant::now();
    for _ in 0..20_000 {
        black_box(Structure::decode(black_box(&row)).expect("row reads back").envelope());
    }
    println!(
        "decode + envelope: {:.1} µs (row of {} octets)",
        start.elapsed().as_secs_f64() * 50.0,
        row.len()
    );
}

fn measure(name: &str, message: &[u8]) {
    let rounds = (512 * 1024 * 1024 / message.len()).max(1);
    let start = Instant::now();
    for _ in 0..rounds {
        let mut scanner = Scanner::new(Limits::default());
        for piece in message.chunks(16 * 1024) {
            scanner.push(black_box(piece));
        }
        black_box(scanner.finish());
    }
    let secs = start.elapsed().as_secs_f64();
    let megabytes = (rounds * message.len()) as f64 / 1e6;
    println!(
        "{name}: {:.0} MB/s, {:.1} µs per message",
        megabytes / secs,
        secs * 1e6 / rounds as f64
    );
}
