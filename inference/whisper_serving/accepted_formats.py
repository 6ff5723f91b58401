"""What the decoder may open, by ffmpeg's names. Whatever is not listed is refused, known to ffmpeg or not.

Names that a version of ffmpeg does not know do no harm.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# Containers that hold their own content. Playlists and lists of files (hls, concat, dash, …) would make ffmpeg read
# whatever they name: other recordings on this machine, or addresses in the network.
# Name → what people call such files.
CONTAINERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aac": "raw AAC (.aac)",
        "ac3": "raw AC-3 (.ac3)",
        "aiff": "AIFF (.aiff, .aif)",
        "amr": "AMR (.amr)",
        "amrnb": "AMR without a header",
        "amrwb": "AMR wideband without a header",
        "asf": "Windows Media (.wma, .wmv, .asf)",
        "au": "Sun audio (.au, .snd)",
        "avi": "AVI (.avi)",
        "caf": "Core Audio (.caf)",
        "flac": "FLAC (.flac)",
        "flv": "Flash video (.flv)",
        "matroska": "WebM and Matroska (.webm, .mkv, .mka)",
        "mov": "MP4 and QuickTime (.m4a, .mp4, .m4b, .3gp, .mov)",
        "mp3": "MP3 (.mp3), MP2 as well",
        "mpeg": "MPEG program stream (.mpg, .vob)",
        "mpegts": "MPEG transport stream (.ts)",
        "ogg": "Ogg (.ogg, .oga, .opus)",
        "w64": "Wave64 (.w64)",
        "wav": "WAV (.wav), RF64 as well",
        "wv": "WavPack (.wv)",
    }
)

_PCM: Final = (
    *("pcm_alaw", "pcm_bluray", "pcm_dvd", "pcm_f32be", "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_mulaw", "pcm_s8"),
    *("pcm_s16be", "pcm_s16be_planar", "pcm_s16le", "pcm_s16le_planar", "pcm_s24be", "pcm_s24le", "pcm_s24le_planar"),
    *("pcm_s32be", "pcm_s32le", "pcm_s32le_planar", "pcm_s64be", "pcm_s64le", "pcm_s8_planar"),
    *("pcm_u8", "pcm_u16be", "pcm_u16le", "pcm_u24be", "pcm_u24le", "pcm_u32be", "pcm_u32le"),
)
_ADPCM: Final = (
    *("adpcm_g722", "g722", "adpcm_g726", "g726", "adpcm_g726le", "g726le", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms"),
    *("adpcm_swf", "adpcm_yamaha"),
)
_SPEECH: Final = (
    *("amrnb", "amrwb", "g723_1", "g729", "gsm", "gsm_ms", "ilbc", "libopencore_amrnb", "libopencore_amrwb", "libspeex"),
    *("nellymoser", "speex", "truespeech"),
)
_MUSIC: Final = (
    *("aac", "aac_latm", "ac3", "alac", "dca", "eac3", "flac", "libopus", "libvorbis", "mlp", "mp1", "mp1float", "mp2"),
    *(
        "mp2float",
        "mp3",
        "mp3float",
        "opus",
        "truehd",
        "vorbis",
        "wavpack",
        "wmalossless",
        "wmapro",
        "wmav1",
        "wmav2",
        "wmavoice",
    ),
)

# Decoders of sound only: pictures and video in the same file are never decoded, not even to find out their size.
DECODERS: Final = (*_PCM, *_ADPCM, *_SPEECH, *_MUSIC)
DECODERS_BY_KIND: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"not compressed": _PCM, "ADPCM": _ADPCM, "for speech": _SPEECH, "for music": _MUSIC}
)
