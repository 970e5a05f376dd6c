// What a test asks of a running Thunderbird, in Thunderbird's own words: its account manager, its folder pane, its
// composition window. Runs through Marionette with the rights of the program; each function is one step.
/* eslint-disable no-unused-vars */

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

const account = () => MailServices.accounts.defaultAccount;
const inbox = () => account().incomingServer.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
const folders = () => account().incomingServer.rootFolder.descendants;
const folder = name => folders().find(one => one.URI.endsWith("/" + name));
const pane = () => window.document.getElementById("tabmail").currentAbout3Pane;
const composer = () => Services.wm.getMostRecentWindow("msgcompose");

const steps = {
  // The password store of the profile, before anything connects.
  async remember({ user, password }) {
    for (const scheme of ["imap", "smtp"]) {
      const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
      const origin = `${scheme}://localhost`;
      login.init(origin, null, origin, user, password, "", "");
      await Services.logins.addLoginAsync(login);
    }
  },

  isReady: () => pane()?.document.readyState == "complete" && !!pane().displayFolder,

  // "Get Messages": connects, and asks for the list of folders when it has none yet.
  connect: () => account().incomingServer.getNewMessages(inbox(), null, null),

  folders: () => folders().map(one => decodeURI(one.URI.slice(account().incomingServer.serverURI.length + 1))),

  open: ({ name }) => pane().displayFolder(folder(name).URI),

  // Subjects in the message list, top to bottom, of the folder that is open.
  subjects: () => {
    const view = pane().gDBView;
    return view ? Array.from({ length: view.rowCount }, (_, row) => view.getMsgHdrAt(row).mime2DecodedSubject) : [];
  },

  select: ({ row }) => { pane().threadTree.selectedIndex = row; },

  // Text of the message that is shown.
  shown: () => pane().messageBrowser?.contentWindow?.getMessagePaneBrowser?.()?.contentDocument?.body?.textContent ?? "",

  isSeen: ({ row }) => pane().gDBView.getMsgHdrAt(row).isRead,

  moveSelected: ({ name }) => pane().commandController.doCommand("cmd_moveMessage", folder(name)),

  flagSelected: () => pane().commandController.doCommand("cmd_markAsFlagged"),

  // The server's SEARCH, as in "Search messages… on the server".
  search: ({ name, body }) => new Promise((found, failed) => {
    const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
    const term = session.createTerm();
    const value = term.value;
    value.attrib = Ci.nsMsgSearchAttrib.Body;
    value.str = body;
    term.value = value;
    term.attrib = Ci.nsMsgSearchAttrib.Body;
    term.op = Ci.nsMsgSearchOp.Contains;
    session.appendTerm(term);
    session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder(name));
    const hits = [];
    session.registerListener({
      QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
      onNewSearch() {},
      onSearchHit: header => hits.push(header.mime2DecodedSubject),
      onSearchDone: status => (status == Cr.NS_OK ? found(hits) : failed(new Error(`search: ${status}`))),
    });
    session.search(null);
  }),

  compose({ to, subject, text }) {
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    Object.assign(fields, { to, subject, body: text });
    const parameters = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
    Object.assign(parameters, {
      type: Ci.nsIMsgCompType.New,
      format: Ci.nsIMsgCompFormat.PlainText,
      composeFields: fields,
      identity: account().defaultIdentity,
    });
    MailServices.compose.OpenComposeWindowWithParams(null, parameters);
  },

  canSend: () => {
    const send = composer()?.document.getElementById("button-send");
    return !!composer()?.composeEditorReady && !composer().gWindowLocked && !!send && !send.disabled;
  },

  send: () => composer().document.getElementById("button-send").click(),

  isComposing: () => !!composer(),

  // Dialogues that stand in the way; none is expected.
  dialogs: () => [...Services.wm.getEnumerator(null)]
    .filter(one => one.location.href.includes("commonDialog"))
    .map(one => one.document.getElementById("infoBody")?.textContent ?? one.document.title),
};
