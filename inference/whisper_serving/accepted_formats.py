"""What the decoder may open, by ffmpeg's names. Whatever is not listed is refused, known to ffmpeg or not.

Names that a version of ffmpeg does not know do no harm.
"""

from typing import Final

# Containers that hold their own content. Playlists and lists of files (hls, concat, dash, …) would make ffmpeg read
# whatever they name: other recordings on this machine, or addresses in the network.
CONTAINERS: Final = (
    *("aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "asf", "au", "avi", "caf", "flac", "flv", "matroska", "mov"),
    *("mp3", "mpeg", "mpegts", "ogg", "w64", "wav", "wv"),
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
