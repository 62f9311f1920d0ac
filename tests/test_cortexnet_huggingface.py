"""Models of Hugging Face, tiny and random, from folders: hidden states on a true time axis."""

import numpy as np
import pytest
import torch
import transformers
from typer.testing import CliRunner

from cortexnet.huggingface import load_huggingface
from experiments.cli import app
from stimuli import InputError, write_audio

RATE = 16_000
SMALL = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
}  # fmt: skip
WAVES = SMALL | {
    "conv_dim": (8, 8, 8), "conv_kernel": (10, 8, 8), "conv_stride": (5, 8, 8),
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


@pytest.fixture(scope="module", params=["wav2vec2", "hubert", "ast", "whisper"])
def folder(request, tmp_path_factory):
    t, path = transformers, tmp_path_factory.mktemp("hf") / request.param
    torch.manual_seed(0)
    if request.param == "ast":
        model = t.ASTModel(t.ASTConfig(**SMALL, max_length=128, num_mel_bins=32))
        extractor = t.ASTFeatureExtractor(max_length=128, num_mel_bins=32)
    elif request.param == "whisper":
        config = t.WhisperConfig(
            d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, vocab_size=50,
            max_source_positions=100, num_mel_bins=20, pad_token_id=0, bos_token_id=1,
            eos_token_id=2, decoder_start_token_id=1,
        )  # fmt: skip
        model = t.WhisperModel(config)
        extractor = t.WhisperFeatureExtractor(feature_size=20, chunk_length=2)
    else:
        kind = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert"}[request.param]
        model = getattr(t, f"{kind}Model")(getattr(t, f"{kind}Config")(**WAVES))
        extractor = t.Wav2Vec2FeatureExtractor()
    model.save_pretrained(path)
    extractor.save_pretrained(path)
    return path


@torch.inference_mode()
def test_hidden_states_are_areas_whose_frames_are_where_the_sound_is(folder):
    model = load_huggingface(str(folder))
    assert model.areas == ("layer0", "layer1", "layer2") and model.sample_rate == RATE
    x = 0.1 * torch.randn(2, 3 * RATE, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, 2 * RATE + 4000 :] = 0.1 * torch.randn(2, RATE - 4000)
    (before, seconds), (after, _) = model.forward_areas(x), model.forward_areas(changed)
    for area in model.areas:
        assert before[area].shape[:2] == (2, len(seconds[area]))
        assert (np.diff(seconds[area]) > 0).all() and 2.8 < seconds[area][-1] <= 3.0
    # Before attention mixes them, frames differ where the sound does (whatever is normalised
    # over the whole sound changes a little everywhere).
    difference = (before["layer0"] - after["layer0"]).abs().mean((0, 2)).numpy()
    late = seconds["layer0"] > 2.35
    assert difference[late].mean() > 3 * difference[seconds["layer0"] < 2].mean()
    assert model.embed(x).shape[0] == 2


def test_extract_reads_a_folder(folder, tmp_path):
    (tmp_path / "sounds" / "a").mkdir(parents=True)
    rng = np.random.default_rng(0)
    wave = 0.1 * rng.standard_normal(22050).astype(np.float32)
    write_audio(tmp_path / "sounds" / "a" / "a.wav", wave, 22050)
    command = ["extract", f"hf:{folder}", "--stimuli", tmp_path / "sounds", "--out"]
    store = tmp_path / "store.zarr"
    result = CliRunner().invoke(app, [str(part) for part in (*command, store)])
    assert result.exit_code == 0, result.output
    assert (store / "layer2").is_dir()


def test_a_folder_without_a_model_of_sounds_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        load_huggingface(str(tmp_path))
    assert "\n" not in str(caught.value)
