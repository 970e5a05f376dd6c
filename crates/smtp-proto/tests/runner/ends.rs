//! Every published confusion about the end of data; for the bare session and for the whole server.

/// What some server, somewhere, took for the end of a message.
pub const ENDS: [&[u8]; 22] = [
    b"\n.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\n\n.\r\n",
    b"\n.\r",
    b"\r.\n",
    b"\r\r.\r\r",
    b"\n\n.\n\n",
    b"\r\n\r.\r\n",
    b"\r\n\n.\r\n",
    b"\r\n.\n\r\n",
    b"\n\r.\n\r",
    b"\r\n.\x0b\r\n\n.\n",
    b"\x00\r\n.\n",
    b"\r\x00\n.\r\x00\n",
];
