//! One message over one link: MAIL, RCPT, and the message to its end, or the connection is closed.

use crate::limits::{BDAT_BYTES_MIN, LAST_WORDS, PIECE_BYTES_MAX, RCPT_WINDOW};
use crate::link::{Link, LinkError};
use crate::reply;
use crate::seam::{Job, JobRecipient, Space};
use crate::settings::Timeouts;
use palombe_delivery::RecipientResult;
use palombe_smtp_proto::Reply;
use palombe_smtp_proto::client::{
    DotStuffer, MailCommandOut, RcptCommandOut, write_bdat, write_data, write_mail, write_rcpt,
};
use std::future::Future;

/// Where the octets of a message come from, in order.
pub(crate) trait Body: Send {
    /// The octets from `offset` on, at least one and at most `len`; `None` when they cannot be had.
    fn piece(&mut self, offset: u64, len: usize) -> impl Future<Output = Option<Vec<u8>>> + Send;
}

/// How a transaction ended.
pub(crate) struct Ended {
    /// One per recipient, in their order.
    pub results: Vec<RecipientResult>,
    /// The link can take another message.
    pub reusable: bool,
}

/// A transaction that did not come to an end; the link is of no more use.
pub(crate) struct Broken {
    /// Why.
    pub error: LinkError,
    /// The peer has answered nothing to this message yet: another connection may be tried at once.
    pub untouched: bool,
    /// What recipients had been told for good before.
    pub settled: Vec<Option<RecipientResult>>,
}

/// Sends one message. `_permit` proves that the peer may have it.
pub(crate) async fn transact<S: Space>(
    link: &mut Link<S>,
    _permit: &S::Permit,
    job: &Job,
    body: &mut impl Body,
    waits: &Timeouts,
) -> Result<Ended, Broken> {
    if let Some(verdict) = verdict_of_offer(link, job) {
        let results = vec![verdict; job.recipients.len()];
        return Ok(Ended { results, reusable: true });
    }
    let mut transaction = Transaction {
        bdat: link.capabilities.chunking && job.size >= BDAT_BYTES_MIN,
        settled: vec![None; job.recipients.len()],
        heard: false,
        link,
        job,
        waits,
    };
    transaction.run(body).await.map_err(|error| Broken {
        error,
        untouched: !transaction.heard,
        settled: transaction.settled,
    })
}

/// What the reply to EHLO says of this message already.
fn verdict_of_offer<S: Space>(link: &Link<S>, job: &Job) -> Option<RecipientResult> {
    let offer = &link.capabilities;
    if let Some(limit) = offer.size_max().filter(|limit| job.size > *limit) {
        return Some(reply::too_large(limit));
    }
    if job.eight_bit && !offer.eight_bit_mime {
        return Some(reply::no_eight_bit());
    }
    if job.smtputf8 && !offer.smtputf8 {
        return Some(reply::no_smtputf8());
    }
    None
}

struct Transaction<'a, S: Space> {
    link: &'a mut Link<S>,
    job: &'a Job,
    waits: &'a Timeouts,
    bdat: bool,
    /// Some(result) once a recipient's fate is known.
    settled: Vec<Option<RecipientResult>>,
    heard: bool,
}

impl<S: Space> Transaction<'_, S> {
    async fn run(&mut self, body: &mut impl Body) -> Result<Ended, LinkError> {
        let data_sent = self.envelope().await?;
        let accepted = self.settled.iter().any(Option::is_none);
        if self.bdat {
            if !accepted {
                return self.abandon().await;
            }
            self.send_bdat(body).await?;
        } else {
            if !data_sent {
                if !accepted {
                    return self.abandon().await;
                }
                let mut out = Vec::new();
                write_data(&mut out);
                self.link.write(&out, self.waits.data).await?;
            }
            let go_ahead = self.hear("DATA", self.waits.data).await?;
            if go_ahead.code != 354 {
                if accepted {
                    self.settle_open(&refusal_of(&go_ahead)?);
                }
                return self.abandon().await;
            }
            if !accepted {
                // RFC 2920 3.1: 354 although no recipient is left: an empty message, whose fate is of no interest.
                self.link.write(b".\r\n", self.waits.block).await?;
                let end = self.hear("the end of data", self.waits.end_of_data).await?;
                return self.end(end.code != 421);
            }
            self.send_data(body).await?;
        }
        let end = self.hear("the end of data", self.waits.end_of_data).await?;
        if end.is_positive() {
            let dsn_supported = self.link.capabilities.dsn;
            let reply = reply::remote(&end);
            self.settle_open(&RecipientResult::Delivered { reply, dsn_supported });
        } else {
            self.settle_open(&refusal_of(&end)?);
        }
        self.link.sent += 1;
        self.end(end.code != 421)
    }

    /// MAIL and RCPT, and DATA with the last of them where the peer takes several commands at once. Tells whether
    /// DATA was written.
    async fn envelope(&mut self) -> Result<bool, LinkError> {
        let pipelining = self.link.capabilities.pipelining;
        let window = if pipelining { RCPT_WINDOW } else { 1 };
        let mut out = Vec::new();
        self.put_mail(&mut out);
        if !pipelining {
            self.link.write(&out, self.waits.mail).await?;
            out.clear();
            if !self.hear_mail().await? {
                return Ok(false);
            }
        }
        let job = self.job;
        let count = job.recipients.len();
        for (n, recipients) in job.recipients.chunks(window).enumerate() {
            let first = n * window;
            for recipient in recipients {
                put_rcpt(&mut out, self.link, recipient);
            }
            let last = first + recipients.len() == count;
            let with_data = last && pipelining && !self.bdat;
            if with_data {
                write_data(&mut out);
            }
            self.link.write(&out, self.waits.rcpt).await?;
            out.clear();
            let sender_ok = !(pipelining && n == 0) || self.hear_mail().await?;
            self.hear_rcpt(first..first + recipients.len()).await?;
            if with_data || !sender_ok {
                return Ok(with_data);
            }
        }
        Ok(false)
    }

    fn put_mail(&self, out: &mut Vec<u8>) {
        let job = self.job;
        let mail = MailCommandOut {
            from: &job.sender,
            size: Some(job.size),
            eight_bit: job.eight_bit,
            smtputf8: job.smtputf8,
            ret: job.ret,
            envid: job.envid.as_deref(),
            priority: job.priority,
        };
        write_mail(out, &self.link.capabilities, &mail);
    }

    /// Whether the sender is taken; if not, that is the fate of all.
    async fn hear_mail(&mut self) -> Result<bool, LinkError> {
        let reply = self.hear("MAIL", self.waits.mail).await?;
        if !reply.is_positive() {
            self.settle_open(&refusal_of(&reply)?);
        }
        Ok(reply.is_positive())
    }

    async fn hear_rcpt(&mut self, range: std::ops::Range<usize>) -> Result<(), LinkError> {
        for n in range {
            let reply = self.hear("RCPT", self.waits.rcpt).await?;
            // After a refused MAIL these are echoes of it.
            if self.settled[n].is_none() && !reply.is_positive() {
                self.settled[n] = Some(rcpt_refusal(&reply)?);
            }
        }
        Ok(())
    }

    /// The next reply. 421 ends the connection, whatever it answers (RFC 5321 3.8): all that is open shares it.
    async fn hear(
        &mut self,
        to: &'static str,
        wait: std::time::Duration,
    ) -> Result<Reply, LinkError> {
        let reply = self.link.reply(to, wait).await?;
        if reply.code == 421 {
            return Err(LinkError::Unwilling(reply));
        }
        self.heard = true;
        Ok(reply)
    }

    async fn send_data(&mut self, body: &mut impl Body) -> Result<(), LinkError> {
        let mut stuffer = DotStuffer::new();
        let mut out = Vec::with_capacity(PIECE_BYTES_MAX + PIECE_BYTES_MAX / 64);
        let mut offset = 0;
        while offset < self.job.size {
            let piece = self.piece(body, offset).await?;
            offset += piece.len() as u64;
            stuffer.write(&piece, &mut out);
            if offset < self.job.size {
                self.write_piece(&out).await?;
                out.clear();
            }
        }
        stuffer.finish(&mut out);
        self.write_piece(&out).await
    }

    /// The whole message as one chunk, whose size is known (RFC 3030 2).
    async fn send_bdat(&mut self, body: &mut impl Body) -> Result<(), LinkError> {
        let mut out = Vec::new();
        write_bdat(&mut out, self.job.size, true);
        self.write_piece(&out).await?;
        let mut offset = 0;
        while offset < self.job.size {
            let piece = self.piece(body, offset).await?;
            offset += piece.len() as u64;
            self.write_piece(&piece).await?;
        }
        Ok(())
    }

    /// A message that cannot be read to its end is never ended: the connection is dropped before its last octet.
    async fn piece(&self, body: &mut impl Body, offset: u64) -> Result<Vec<u8>, LinkError> {
        let wanted = (self.job.size - offset).min(PIECE_BYTES_MAX as u64) as usize;
        let piece = body.piece(offset, wanted).await.ok_or(LinkError::Body)?;
        if piece.is_empty() || piece.len() > wanted { Err(LinkError::Body) } else { Ok(piece) }
    }

    /// A peer that closes in the middle often says why first.
    async fn write_piece(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let Err(error) = self.link.write(bytes, self.waits.block).await else { return Ok(()) };
        match self.link.reply("the message", LAST_WORDS).await {
            Ok(reply) if !reply.is_positive() => Err(LinkError::Unwilling(reply)),
            _ => Err(error),
        }
    }

    fn settle_open(&mut self, result: &RecipientResult) {
        for open in self.settled.iter_mut().filter(|settled| settled.is_none()) {
            *open = Some(result.clone());
        }
    }

    /// Nobody is left to send to: the connection may serve the next message.
    async fn abandon(&mut self) -> Result<Ended, LinkError> {
        let reusable = self.link.reset(self.waits).await.is_ok();
        self.end(reusable)
    }

    fn end(&mut self, reusable: bool) -> Result<Ended, LinkError> {
        let results: Option<Vec<_>> = self.settled.drain(..).collect();
        let results = results
            .ok_or_else(|| LinkError::Unexpected("a recipient without answer".to_owned()))?;
        Ok(Ended { results, reusable })
    }
}

fn put_rcpt<S: Space>(out: &mut Vec<u8>, link: &Link<S>, recipient: &JobRecipient) {
    let rcpt = RcptCommandOut {
        to: &recipient.address,
        notify: recipient.notify,
        orcpt: recipient.orcpt.as_deref(),
    };
    write_rcpt(out, &link.capabilities, &rcpt);
}

/// A reply that is no yes must be a no.
fn refusal_of(reply: &Reply) -> Result<RecipientResult, LinkError> {
    if reply.is_transient() || reply.is_permanent() {
        Ok(reply::refused(reply))
    } else {
        Err(LinkError::Unexpected(reply.to_string()))
    }
}

/// RFC 5321 4.5.3.1.10: 552 to RCPT without a code that says otherwise means "too many recipients", as 452 does.
fn rcpt_refusal(reply: &Reply) -> Result<RecipientResult, LinkError> {
    if reply.code == 552 && reply.enhanced.is_none() {
        return Ok(RecipientResult::Deferred(reply::remote(reply)));
    }
    refusal_of(reply)
}
