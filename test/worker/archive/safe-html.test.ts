import { describe, expect, it } from "vitest";
import { safeHtml } from "../../../src/worker/archive/safe-html.ts";

describe("HTML of a message made safe", () => {
  it.each([
    ["<script>alert(1)</script>x", "x"],
    ["<ScRiPt src=//e.test/x.js></sCrIpT>x", "x"],
    ["<script>alert(1)", ""],
    ["<<script>script>alert(1)</script>", "&lt;"],
    ["<style>*{background:url(//e.test)}</style>x", "x"],
    ["<style><img src=x onerror=alert(1)></style>", ""],
    ["<img src=/api/session srcset='/mail 2x'>", "<img />"],
    ["<p onclick=alert(1) onmouseover='x'>x</p>", "<p>x</p>"],
    ["<img src=x onerror=alert(1)>", "<img />"],
    ["<img/src='x'/onerror=alert(1)>", "<img />"],
    ["<body onload=alert(1)>x</body>", "x"],
    ["<svg onload=alert(1)><script>alert(1)</script><circle/></svg>x", "x"],
    ["<svg><style><img src=x onerror=alert(1)></style></svg>x", "x"],
    ["<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></math>x", "x"],
    ["<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>", ""],
    ["<textarea><img src=x onerror=alert(1)></textarea>", ""],
    ["<title><b>x</title>y", "y"],
    ["<iframe src=https://e.test srcdoc='<script>alert(1)</script>'>x</iframe>", ""],
    ["<object data=https://e.test><embed src=https://e.test></object>x", "x"],
    ["<form action=https://e.test><input name=p value=q><button>go</button></form>", "go"],
    ["<meta http-equiv=refresh content='0;url=https://e.test'>x", "x"],
    ["<base href=https://e.test/>x", "x"],
    ["<link rel=stylesheet href=https://e.test/x.css>x", "x"],
    ["<video src=https://e.test/x poster=https://e.test/p></video>x", "x"],
    ["<!-- <script>alert(1)</script> -->x", "x"],
    ["<!--[if mso]><script>alert(1)</script><![endif]-->x", "x"],
    ["<?xml version='1.0'?><!DOCTYPE html><![CDATA[<b>]]>x", "x"],
    ["<p id=location name=body class=a>x</p>", "<p>x</p>"],
    ["<p contenteditable autofocus tabindex=1 data-x=1>x</p>", "<p>x</p>"],
  ])("%s becomes %s", (hostile, safe) => {
    expect(safeHtml(hostile).html.trim()).toBe(safe);
  });

  it.each([
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\tscript:alert(1)",
    "java&#10;script:alert(1)",
    "&#106;avascript:alert(1)",
    "vbscript:x",
    "data:text/html,<script>alert(1)</script>",
    "blob:https://e.test/x",
    "file:///etc/passwd",
    "//e.test/x",
    "/panel",
    "x",
    "?logout",
  ])("a link to %s goes nowhere", (target) => {
    expect(safeHtml(`<a href="${target}">x</a>`).html).toBe('<a target="_blank" rel="noopener noreferrer">x</a>');
  });

  it.each(["https://e.test/?a=1", "http://e.test/", "mailto:a@e.test", "tel:+43"])(
    "a link to %s opens elsewhere",
    (target) => {
      expect(safeHtml(`<a href="${target}" target="_self" rel="opener" ping="https://e.test">x</a>`).html).toBe(
        `<a href="${target}" target="_blank" rel="noopener noreferrer">x</a>`,
      );
    },
  );

  it.each([
    ['<img src="https://e.test/p.gif" width="1" height="1">', 1],
    ['<img src="//e.test/p.gif">', 1],
    ['<img src=" HTTP://e.test/p.gif">', 1],
    ['<img srcset="https://e.test/p.gif 2x">', 1],
    ['<img lowsrc="https://e.test/p" dynsrc="https://e.test/q">', 2],
    ['<table background="https://e.test/p"><tr><td background="https://e.test/q">x</td></tr></table>', 2],
    ['<p style="background: url(https://e.test/p)">x</p>', 1],
    ["<p style=\"background-image:url('//e.test/p')\">x</p>", 1],
    ['<p style="color:red;list-style:u&#114;l(https://e.test)">x</p>', 1],
    ["<p style=\"background:image-set('https://e.test/p' 1x)\">x</p>", 1],
    ['<video poster="https://e.test/p" src="https://e.test/v"></video>', 2],
    ['<link rel="stylesheet" href="https://e.test/x.css">', 1],
    ['<img src="cid:logo@e.test" alt="Logo">', 0],
    ['<p style="color:red">x</p>', 0],
  ])("of %s nothing loads, and it is counted", (html, blocked) => {
    const safe = safeHtml(html);
    expect(safe.html).not.toContain("e.test/");
    expect(safe.html).not.toMatch(/url|image-set/);
    expect(safe.blocked).toBe(blocked);
  });

  it.each([
    "background:u\\72l(https://e.test/p)",
    "width:expression(alert(1))",
    "behavior:url(#x)",
    "-moz-binding:url(https://e.test/x.xml#x)",
    "color:red;}*{position:fixed",
    "position:fixed;top:0;left:0;z-index:9999",
    "font-family:x,url(https://e.test)",
    "content:'x'",
    "@import 'https://e.test'",
    "color:/**/url(https://e.test)",
    "display:none",
    "width:99999999px",
  ])("the style %s is left out", (style) => {
    expect(safeHtml(`<p style="${style}">x</p>`).html).toMatch(/^<p(?: style="color:red")?>x<\/p>$/);
  });

  it("keeps what mail is made of: tables, colours, sizes, lists, pictures that came with it", () => {
    const mail =
      '<table border="0" width="600" style="border-collapse:collapse;background-color:#f4f4f4"><tbody><tr><td colspan="2" align="center" style="padding:10px 0;font-family:Arial, sans-serif;font-size:14px">' +
      '<h1>Hello</h1><p><b>bold</b> &amp; <i>italic</i><br /><img src="cid:logo@example.net" alt="Logo" /></p><ul><li>one</li></ul></td></tr></tbody></table>';
    expect(safeHtml(mail)).toEqual({ html: mail, blocked: 0 });
  });

  it("comes to an end with tags nested a hundred thousand deep, and with none closed", () => {
    expect(safeHtml(`${"<div>".repeat(100_000)}x`).html.length).toBeLessThan(5_000);
    expect(safeHtml("<a href='".repeat(10_000)).html).not.toContain("href='");
    expect(safeHtml("<".repeat(100_000)).html).not.toContain("<");
  });
});
