//! Any byte split gives the same events, and no input panics.

mod runner;

use palombe_smtp_proto::client::ReplyReader;
use palombe_smtp_proto::server::Service;
use proptest::prelude::*;
use runner::{Peer, Told};

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&'static [u8]> = vec![
        b"MAIL FROM:<a@b.fr>\r\n",
        b"MAIL FROM:<> SIZE=5 RET=HDRS ENVID=x\r\n",
        b"RCPT TO:<c@d.fr>\r\n",
        b"RCPT TO:<unknown@d.fr>\r\n",
        b"RCPT TO:<Postmaster> NOTIFY=NEVER\r\n",
        b"DATA\r\n",
        b"BDAT 5\r\nab\r\nc",
        b"BDAT 3 LAST\r\nabc",
        b"BDAT 0 LAST\r\n",
        b"BDAT 70\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"VRFY x\r\n",
        b"EHLO a\r\n",
        b"HELO a\r\n",
        b"AUTH PLAIN\r\n",
        b"*\r\n",
        b"AUTH PLAIN AGFAYi5mcgBzZWNyZXQ=\r\n",
        b"AGFAYi5mcgB3cm9uZw==\r\n",
        b".\r\n",
        b"..\r\n",
        b"\r\n.\r\n",
        b"\n",
        b"\r",
        b".",
        b"\0",
        b"text\r\n",
        b"\r\n",
        b"\n.\n",
        b"\r\n.\r",
        b"QUIT\r\n",
        b"XFOO\r\n",
        b"BDAT x\r\n",
    ];
    prop_oneof![
        12 => prop::sample::select(fixed).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (1usize..80_000).prop_map(|n| vec![b'x'; n]),
        1 => (1usize..16_000).prop_map(|n| [b"AUTH PLAIN ".as_slice(), &vec![b'A'; n], b"\r\n"].concat()),
    ]
}

fn run(service: Service, bytes: &[u8], cuts: &[usize]) -> (Vec<Told>, Vec<u8>, bool) {
    let mut settings = runner::settings(service);
    settings.message_bytes_max = 50_000;
    let mut peer = Peer::ready(settings);
    let (mut rest, mut cuts) = (bytes, cuts.iter().cycle());
    while !rest.is_empty() {
        let cut = (*cuts.next().unwrap()).clamp(1, rest.len());
        peer.feed(&rest[..cut]);
        rest = &rest[cut..];
        assert!(
            peer.closed || peer.waiting.len() < 13_000,
            "the session holds on to {}",
            peer.waiting.len()
        );
    }
    (peer.told, peer.output, peer.closed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_events(
        pieces in prop::collection::vec(piece(), 0..24),
        cuts in prop::collection::vec(prop_oneof![1usize..4, 1usize..5000], 1..8),
        submission in any::<bool>(),
    ) {
        let service = if submission { Service::Submission } else { Service::Interop };
        let bytes = pieces.concat();
        let whole = run(service, &bytes, &[usize::MAX]);
        prop_assert_eq!(&whole, &run(service, &bytes, &cuts));
    }

    #[test]
    fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), tls in any::<bool>()) {
        let mut peer = Peer::new(runner::settings(Service::Submission));
        if tls {
            peer.session.tls_established();
        }
        peer.feed(&bytes);
        let mut reader = ReplyReader::new();
        reader.push(&bytes);
        while let Ok(Some(_)) = reader.next_reply() {}
    }
}
