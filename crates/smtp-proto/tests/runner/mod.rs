//! A door without a house: answers the session's questions by fixed rules, and keeps what it was told.

#![allow(dead_code)] // each test binary uses its half

use palombe_smtp_proto::server::{Event, Service, Session, SessionSettings};
use palombe_smtp_proto::{EnhancedCode, ForwardPath, Reply};
use std::sync::Arc;

/// What happened, body pieces joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Mail(String),
    Rcpt(String),
    Message(Vec<u8>),
    Fault(&'static str),
    Refused(&'static str),
    Reset,
    StartTls,
    Auth(String),
    Close,
}

pub struct Peer {
    pub session: Session,
    pub told: Vec<Told>,
    /// Octets that the session has not taken yet.
    pub waiting: Vec<u8>,
    pub output: Vec<u8>,
    pub closed: bool,
    body: Vec<u8>,
}

pub fn settings(service: Service) -> SessionSettings {
    SessionSettings {
        hostname: "mx.palombe.example".to_owned(),
        service,
        message_bytes_max: 100_000,
        recipients_max: 100,
        errors_max: 20,
        commands_max: 10_000,
    }
}

pub fn ok(class: u16, a: u16, b: u16) -> Reply {
    Reply::new(class, EnhancedCode(2, a, b), "OK")
}

impl Peer {
    pub fn new(settings: SessionSettings) -> Peer {
        Peer {
            session: Session::new(Arc::new(settings)),
            told: Vec::new(),
            waiting: Vec::new(),
            output: Vec::new(),
            closed: false,
            body: Vec::new(),
        }
    }

    /// A session past STARTTLS and EHLO, and past AUTH on submission; its output so far is thrown away.
    pub fn ready(settings: SessionSettings) -> Peer {
        let submission = settings.service == Service::Submission;
        let mut peer = Peer::new(settings);
        peer.session.tls_established();
        peer.feed(b"EHLO client.example\r\n");
        if submission {
            peer.feed(b"AUTH PLAIN AGFAYi5mcgBzZWNyZXQ=\r\n");
        }
        peer.output.clear();
        peer.told.clear();
        peer
    }

    /// Feeds bytes and answers every question until the session wants more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.waiting);
        let mut read = 0;
        while !self.closed {
            let step = self.session.next(&input[read..]);
            read += step.consumed;
            assert!(read <= input.len());
            let more = matches!(step.event, Event::NeedInput);
            let tls = matches!(step.event, Event::StartTls);
            match step.event {
                Event::NeedInput | Event::Flush => {}
                Event::Mail(mail) => {
                    self.told.push(Told::Mail(mail.path.to_string()));
                    let refused = mail.path.to_string().ends_with("refused.example");
                    self.session.answer(if refused { no(550, 7, 1) } else { ok(250, 1, 0) });
                }
                Event::Rcpt(rcpt) => {
                    let text = match &rcpt.path {
                        ForwardPath::Postmaster => "postmaster".to_owned(),
                        ForwardPath::Address(address) => address.to_string(),
                    };
                    let unknown = text.starts_with("unknown@");
                    self.told.push(Told::Rcpt(text));
                    self.session.answer(if unknown { no(550, 1, 1) } else { ok(250, 1, 5) });
                }
                Event::BodyStart => {
                    self.body.clear();
                    self.session.accept_body();
                }
                Event::Body(piece) => self.body.extend_from_slice(piece),
                Event::BodyFault(fault) => {
                    self.body.clear();
                    self.told.push(Told::Fault(fault.code()));
                }
                Event::BodyEnd => {
                    self.told.push(Told::Message(std::mem::take(&mut self.body)));
                    self.session.answer(ok(250, 0, 0));
                }
                Event::Reset => {
                    self.body.clear();
                    self.told.push(Told::Reset);
                }
                Event::StartTls => self.told.push(Told::StartTls),
                Event::Auth(credentials) => {
                    let good = credentials.password.expose() == "secret";
                    self.told.push(Told::Auth(credentials.authentication));
                    let reply = if good {
                        Reply::new(235, EnhancedCode(2, 7, 0), "OK")
                    } else {
                        no(535, 7, 8)
                    };
                    self.session.answer(reply);
                }
                Event::Refused(fault) => self.told.push(Told::Refused(fault.code())),
                Event::Close => {
                    self.told.push(Told::Close);
                    self.closed = true;
                }
            }
            self.output.extend_from_slice(self.session.output());
            self.session.output_sent();
            if tls {
                self.session.tls_established();
            }
            if more {
                break;
            }
        }
        self.waiting = input[read..].to_vec();
    }

    pub fn messages(&self) -> Vec<&[u8]> {
        let message = |told: &'_ Told| matches!(told, Told::Message(_));
        self.told
            .iter()
            .filter(|t| message(t))
            .map(|t| if let Told::Message(m) = t { m.as_slice() } else { &[] })
            .collect()
    }

    /// The codes of the replies so far, the last line of each.
    pub fn codes(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.output)
            .split("\r\n")
            .filter(|l| l.len() > 3 && l.as_bytes()[3] == b' ')
            .map(|l| l[..3].to_owned())
            .collect()
    }
}

fn no(code: u16, a: u16, b: u16) -> Reply {
    Reply::new(code, EnhancedCode(5, a, b), "no")
}
