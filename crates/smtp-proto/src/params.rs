//! Values of the DSN parameters (RFC 3461).

/// `RET`: how much of the message a failure report returns (RFC 3461 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header only.
    Hdrs,
}

impl Ret {
    /// As the parameter's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Ret::Full => "FULL",
            Ret::Hdrs => "HDRS",
        }
    }
}

/// `NOTIFY`: when the sender wants a report (RFC 3461 4.1). The default is what an absent parameter means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notify {
    /// The parameter was absent: failure, and delay at our choice.
    Unspecified,
    /// No report, ever.
    Never,
    /// At least one of these.
    On {
        /// Report a delivery.
        success: bool,
        /// Report a failure.
        failure: bool,
        /// Report a delay.
        delay: bool,
    },
}

impl Notify {
    /// The parameter's value; `None` where the parameter is left out.
    pub fn write(self) -> Option<String> {
        match self {
            Notify::Unspecified => None,
            Notify::Never => Some("NEVER".to_owned()),
            Notify::On { success, failure, delay } => {
                let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
                let told: Vec<&str> = words.iter().filter(|w| w.0).map(|w| w.1).collect();
                (!told.is_empty()).then(|| told.join(","))
            }
        }
    }

    /// Reads the parameter's value.
    pub fn parse(text: &str) -> Option<Notify> {
        if text.eq_ignore_ascii_case("NEVER") {
            return Some(Notify::Never);
        }
        let (mut success, mut failure, mut delay) = (false, false, false);
        for word in text.split(',') {
            let seen = match () {
                () if word.eq_ignore_ascii_case("SUCCESS") => &mut success,
                () if word.eq_ignore_ascii_case("FAILURE") => &mut failure,
                () if word.eq_ignore_ascii_case("DELAY") => &mut delay,
                () => return None, // NEVER stands alone (RFC 3461 4.1)
            };
            if std::mem::replace(seen, true) {
                return None;
            }
        }
        Some(Notify::On { success, failure, delay })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Notify>) {
        assert_eq!(Notify::parse(text), expected, "{text}");
        if let Some(notify) = expected {
            assert_eq!(Notify::parse(&notify.write().unwrap()), Some(notify));
        }
    }

    #[test]
    fn notify() {
        let on = |success, failure, delay| Some(Notify::On { success, failure, delay });
        check("NEVER", Some(Notify::Never));
        check("success", on(true, false, false));
        check("DELAY,SUCCESS", on(true, false, true));
        check("FAILURE,DELAY,SUCCESS", on(true, true, true));
        check("NEVER,SUCCESS", None);
        check("SUCCESS,SUCCESS", None);
        check("SUCCESS,", None);
        check("", None);
    }
}
