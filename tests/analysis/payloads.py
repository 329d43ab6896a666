"""Texts made to harm a page that shows them: as markup, script, style, template, JSON, address, or by what cannot be seen."""

CALL = "canary(1)"
HOSTILE = (
    f"<script>{CALL}</script>", f"</script><script>{CALL}</script>", f"</ScRiPt ><ScRiPt>{CALL}</sCrIpT>", "<script src=//127.0.0.1:1/x.js></script>", f"<!--<script>{CALL}</script>-->",
    f"--><script>{CALL}</script><!--", f"]]><script>{CALL}</script>", f"</title><script>{CALL}</script>", f"</style><script>{CALL}</script>", f"</textarea><script>{CALL}</script>",
    f"</noscript><script>{CALL}</script>", f"</select><script>{CALL}</script>", f"<scr<script>ipt>{CALL}</scr</script>ipt>", f"<script type=module>{CALL}</script>", f"<script>{CALL}",
    f"<img src=x onerror={CALL}>", f"<img src=x onerror=\"{CALL}\"//>", f"<img src=`x` onerror={CALL}>", f"\"><img src=x onerror={CALL}>", f"'><img src=x onerror={CALL}>",
    f"<svg onload={CALL}>", f"<svg><script>{CALL}</script></svg>", f"<svg><animate onbegin={CALL} attributeName=x dur=1s>", f"<svg><use href=data:image/svg+xml,<svg onload={CALL}>>", f"<svg><a xlink:href=\"javascript:{CALL}\"><text>x</text></a></svg>",
    f"<svg><foreignObject><body onload={CALL}></foreignObject></svg>", f"<math><mi xlink:href=\"javascript:{CALL}\">x</mi></math>", f"<math><mtext></mtext><mglyph><style></math><img src onerror={CALL}>", f"<iframe srcdoc=\"<script>parent.{CALL}</script>\">", f"<iframe src=javascript:parent.{CALL}>",
    f"<object data=javascript:{CALL}>", f"<embed src=javascript:{CALL}>", f"<a href=javascript:{CALL}>x</a>", f"javascript:{CALL}", f"data:text/html,<script>{CALL}</script>",
    f"<body onload={CALL}>", f"<details open ontoggle={CALL}>", f"<input autofocus onfocus={CALL}>", f"<video><source onerror={CALL}></video>", f"<marquee onstart={CALL}>",
    f"\" onmouseover={CALL} x=\"", f"' autofocus onfocus={CALL} '", f"` onclick={CALL} `", "<base href=http://127.0.0.1:1/>", "<meta http-equiv=refresh content=0;url=http://127.0.0.1:1/>",
    "<link rel=stylesheet href=http://127.0.0.1:1/x.css>", "<form action=http://127.0.0.1:1/><button>", "<img src=http://127.0.0.1:1/x.png>", "<style>*{background:url(http://127.0.0.1:1/)}</style>", "</style><style>body{display:none}</style>",
    "body{display:none}", "expression(canary(1))", f"{{{{constructor.constructor('{CALL}')()}}}}", f"${{{CALL}}}", f"{{% print({CALL}) %}}",
    "{{ ''.__class__.__mro__ }}", f"<%= {CALL} %>", f"#{{{CALL}}}", f"$$\\href{{javascript:{CALL}}}{{x}}$$", f"\\(\\unicode{{<img src=x onerror={CALL}>}}\\)",
    f"[x](javascript:{CALL})", "![x](http://127.0.0.1:1/x.png)", "&lt;script&gt;canary(1)&lt;/script&gt;", "&#60;script&#62;canary(1)&#60;/script&#62;", "\\u003cscript\\u003ecanary(1)\\u003c/script\\u003e",
    f"\"}}]}}</script><script>{CALL}</script>", f"\";{CALL};//", f"\\\";{CALL};//", f"\u2028{CALL}\u2029", f"'+{CALL}+'",
    "__proto__", "constructor", "toString", "hasOwnProperty", "prototype", "null", "undefined", "NaN", "-0", "[object Object]",
    "\u202egnp.exe\u202c", "\u2066a\u2069\u200b\u200d\ufeff", "a\x00b", "\x1b]0;x\x07\x1b[2J", "\x85\x9b31m", "\ud800 half", "half \udfff", "\U000e0041\U000e0042", "\ufdd0\uffff", "Z\u0335\u0321\u0353" * 20,
    "=HYPERLINK(\"http://127.0.0.1:1\")", "%3Cscript%3Ecanary(1)%3C/script%3E", "+ADw-script+AD4-canary(1)+ADw-/script+AD4-", "\u00bcscript\u00becanary(1)\u00bc/script\u00be", "\uff1cscript\uff1ecanary(1)\uff1c/script\uff1e", " ", "", "#step=1&message=x", "line one\nline two\r\nline three\tend",
)  # fmt: skip
LONG = "<b>long</b> " * 8_000
