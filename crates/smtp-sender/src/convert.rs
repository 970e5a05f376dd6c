//! The store's words for DSN parameters in SMTP's.

use palombe_delivery as from;
use palombe_smtp_proto as to;

pub(crate) fn ret(ret: from::Ret) -> to::Ret {
    match ret {
        from::Ret::Full => to::Ret::Full,
        from::Ret::Hdrs => to::Ret::Hdrs,
    }
}

pub(crate) fn notify(notify: from::Notify) -> to::Notify {
    // The default goes unsaid: what an absent parameter means is the same (RFC 3461 4.1).
    if notify == from::Notify::default() {
        return to::Notify::Unspecified;
    }
    match (notify.success(), notify.failure(), notify.delay()) {
        (false, false, false) => to::Notify::Never,
        (success, failure, delay) => to::Notify::On { success, failure, delay },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_keeps_its_meaning() {
        let check = |from, to: Option<&str>| assert_eq!(notify(from).write().as_deref(), to);
        check(from::Notify::default(), None);
        check(from::Notify::NEVER, Some("NEVER"));
        check(from::Notify::SUCCESS, Some("SUCCESS"));
        check(from::Notify::SUCCESS.and(from::Notify::DELAY), Some("SUCCESS,DELAY"));
        check(from::Notify::FAILURE, Some("FAILURE"));
    }
}
