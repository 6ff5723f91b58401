"""Object keys that S3 takes and that break code which believes keys to be tame."""

STRANGE_KEYS = {
    "space": "incoming/a b.mp3",
    "plus": "incoming/a+b.mp3",
    "percent": "incoming/50%20off%.mp3",
    "encoded plus": "incoming/%2B.mp3",
    "unicode": "incoming/Grüße/会議 🎙.mp3",
    "decomposed": "incoming/u\u0308.mp3",
    "quotes": "incoming/\"a\" 'b' `c`.mp3",
    "newline": "incoming/a\nb\r\tc.mp3",
    "query": "incoming/a?b=c&d#e.mp3",
    "markup": "incoming/<a>&amp;.mp3",
    "backslash": "incoming/a\\b.mp3",
    "longest": "incoming/" + "x" * 1015,
    "longest unicode": "incoming/x" + "é" * 507,
    "no extension": "incoming/a",
    "looks like an error": "incoming/a.error",
    "slash with content": "incoming/folder/",
    "nothing after the prefix": "incoming/",
}
