//! Any octets as HL7v2, alone and in MLLP frames cut anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palombe_clinical_docs::Limits;
use palombe_clinical_docs::hl7v2::{
    AckCode, Deframer, Message, build_ack, check, frame, parse_ack, parse_request, parse_zam,
};
use palombe_vocabulary::Timestamp;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let mut deframer = Deframer::new();
    for piece in bytes.chunks(7) {
        if deframer.push(piece, &limits).is_err() {
            break;
        }
        while let Ok(Some(_)) = deframer.next_message() {}
    }
    let Ok(message) = Message::parse(bytes, &limits) else { return };
    let _ = (parse_ack(&message), parse_zam(&message), check(&message, &limits));
    if let Ok(request) = parse_request(&message, &limits) {
        let _ = request.decision();
    }
    let ack = build_ack(&message, AckCode::Accepted, None, "1", Timestamp(0));
    let framed = frame(&ack.encode());
    let mut deframer = Deframer::new();
    deframer.push(&framed, &limits).expect("small");
    let inner = deframer.next_message().expect("a frame").expect("whole");
    let read = Message::parse(&inner, &limits).expect("what is written is read");
    assert_eq!(read, ack);
});
