"""Write random Grounding DINO, SAM, SAM-HQ and SAM 2, two megabytes in all, to a folder."""

import sys
from pathlib import Path

import torch
import transformers as t

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] . - a cat dog disc cross ring warm cool"
SAM_HEAD = {"hidden_size": 8, "mlp_dim": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
PROMPTS = {"image_size": 64, "patch_size": 16, "mask_input_channels": 4}


def save(folder, model, processor):
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def write_dino(root):
    vocabulary = root / "vocab.txt"
    vocabulary.write_text("\n".join(WORDS.split()))
    if int(t.__version__.split(".")[0]) >= 5:
        tokenizer = t.BertTokenizerFast(vocab=str(vocabulary))
    else:
        tokenizer = t.BertTokenizerFast(vocab_file=str(vocabulary))
    swin = t.SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )
    bert = t.BertConfig(
        vocab_size=len(WORDS.split()),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    config = t.GroundingDinoConfig(
        backbone_config=swin,
        text_config=bert,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=10,
        max_text_len=32,
    )
    images = t.GroundingDinoImageProcessor(size={"shortest_edge": 96, "longest_edge": 160})
    processor = t.GroundingDinoProcessor(images, tokenizer)
    save(root / "dino", t.GroundingDinoForObjectDetection(config), processor)


def write_sam(root, name, kind):
    vision = getattr(t, f"{kind}VisionConfig")(
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=1,
        image_size=64,
        patch_size=16,
        output_channels=8,
        mlp_dim=8,
        window_size=2,
        global_attn_indexes=[1],
        num_pos_feats=4,
    )
    more = {"vit_dim": 8} if kind == "SamHQ" else {}
    config = getattr(t, f"{kind}Config")(
        vision_config=vision,
        prompt_encoder_config=getattr(t, f"{kind}PromptEncoderConfig")(hidden_size=8, **PROMPTS),
        mask_decoder_config=getattr(t, f"{kind}MaskDecoderConfig")(
            iou_head_hidden_dim=8, **SAM_HEAD, **more
        ),
    )
    images = t.SamImageProcessor(
        size={"longest_edge": 64},
        pad_size={"height": 64, "width": 64},
        mask_size={"longest_edge": 16},
        mask_pad_size={"height": 16, "width": 16},
    )
    processor = getattr(t, f"{kind}Processor")(images)
    save(root / name, getattr(t, f"{kind}Model")(config), processor)


def write_sam2(root):
    backbone = t.Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[64, 64],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 4, 4, 4],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[2, 2],
    )
    vision = t.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=16,
    )
    parts = {
        "vision_config": vision,
        "prompt_encoder_config": t.Sam2PromptEncoderConfig(hidden_size=16, **PROMPTS),
        "mask_decoder_config": t.Sam2MaskDecoderConfig(
            **{**SAM_HEAD, "hidden_size": 16, "iou_head_hidden_dim": 16}
        ),
    }
    sides = {"size": {"height": 64, "width": 64}, "mask_size": {"height": 16, "width": 16}}
    images = t.Sam2ImageProcessor(**sides)
    save(root / "sam2", t.Sam2Model(t.Sam2Config(**parts)), t.Sam2Processor(images))
    # Published folders of SAM 2 hold the model for videos, of which the one for images is a part.
    config = t.Sam2VideoConfig(
        **parts,
        image_size=64,
        memory_encoder_hidden_size=16,
        memory_encoder_output_channels=8,
        memory_attention_hidden_size=16,
        memory_attention_num_layers=1,
        memory_attention_num_attention_heads=1,
        memory_attention_downsample_rate=1,
        memory_attention_feed_forward_hidden_size=16,
        mask_downsampler_embed_dim=16,
        memory_fuser_num_layers=1,
        memory_fuser_embed_dim=16,
        memory_fuser_intermediate_dim=16,
    )
    videos = t.Sam2VideoVideoProcessor(size=sides["size"])
    save(root / "sam2_video", t.Sam2VideoModel(config), t.Sam2VideoProcessor(images, videos))


if __name__ == "__main__":
    torch.manual_seed(0)
    target = Path(sys.argv[1])
    write_dino(target)
    write_sam(target, "sam", "Sam")
    write_sam(target, "sam_hq", "SamHQ")
    write_sam2(target)
