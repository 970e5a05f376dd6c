// The preferences of a Thunderbird with one account; ADDRESS, IMAP_PORT and SUBMISSION_PORT are filled in by the test.
user_pref("marionette.port", 0); // any that is free, told in MarionetteActivePort
user_pref("mail.accountmanager.accounts", "account1,account2");
user_pref("mail.accountmanager.defaultaccount", "account1");
user_pref("mail.accountmanager.localfoldersserver", "server2");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.account.account1.identities", "id1");
user_pref("mail.account.account2.server", "server2");
user_pref("mail.identity.id1.fullName", "Marie");
user_pref("mail.identity.id1.useremail", "ADDRESS");
user_pref("mail.identity.id1.smtpServer", "smtp1");
user_pref("mail.identity.id1.valid", true);
user_pref("mail.server.server1.type", "imap");
user_pref("mail.server.server1.name", "ADDRESS");
user_pref("mail.server.server1.hostname", "localhost");
user_pref("mail.server.server1.port", IMAP_PORT);
user_pref("mail.server.server1.userName", "ADDRESS");
user_pref("mail.server.server1.socketType", 3); // TLS from the first byte
user_pref("mail.server.server1.authMethod", 3); // password, inside TLS
user_pref("mail.server.server1.use_idle", true);
// New mail is told by IDLE or not at all; and nothing connects before the password is there.
user_pref("mail.server.server1.check_new_mail", false);
user_pref("mail.server.server1.login_at_startup", false);
user_pref("mail.server.server2.type", "none");
user_pref("mail.server.server2.name", "Local Folders");
user_pref("mail.server.server2.hostname", "Local Folders");
user_pref("mail.server.server2.userName", "nobody");
user_pref("mail.smtpservers", "smtp1");
user_pref("mail.smtp.defaultserver", "smtp1");
user_pref("mail.smtpserver.smtp1.type", "smtp");
user_pref("mail.smtpserver.smtp1.hostname", "localhost");
user_pref("mail.smtpserver.smtp1.port", SUBMISSION_PORT);
user_pref("mail.smtpserver.smtp1.username", "ADDRESS");
user_pref("mail.smtpserver.smtp1.try_ssl", 2); // STARTTLS
user_pref("mail.smtpserver.smtp1.authMethod", 3);
// The toy IGC-Santé answers no OCSP, and nothing else may leave this machine.
user_pref("security.OCSP.enabled", 0);
user_pref("network.proxy.type", 0);
user_pref("services.settings.server", "data:,#remote-settings-dummy/v1");
user_pref("app.update.enabled", false);
user_pref("extensions.update.enabled", false);
user_pref("mailnews.start_page.enabled", false);
user_pref("mail.shell.checkDefaultClient", false);
user_pref("mail.rights.version", 1);
user_pref("app.donation.eoy.version.viewed", 999);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("mail.biff.play_sound", false);
user_pref("mail.biff.show_alert", false);
user_pref("mail.collect_email_address_outgoing", false);
user_pref("mail.compose.autosave", false);
