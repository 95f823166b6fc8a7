package main

// The parts of train's help about what the configuration says, each no wider than 80
// columns.

// scheduleHelp is the part of train's help about when vid2vid learns what.
const scheduleHelp = `When vid2vid learns what, by --set or in the configuration:
  niter=10 niter_decay=10    epochs at the full rate, and such over which it
                             falls, instead of steps; an epoch is a sample of
                             each clip, or epoch_samples=500 from anywhere
  niter_step=5               epochs after which samples become twice as long,
                             from frames to max_frames_total=128 or the longest
                             clip
  niter_fix_global=3         epochs in which the finest spatial scale alone
                             learns
  chunk=2                    frames that are made between two steps
  n_frames_bp=2              of a chunk, over which gradients go back through
                             time
  max_frames_backpropagate=4 or what that grows to: 1 at first, after every
                             niter_step epochs twice as many, never more than
                             the chunk has
  accumulate=4               chunks whose gradients are averaged before weights
                             move
  recompute=true             less memory: activations are made again, not kept
  first_frames=real          clips begin with their real frames, not with
                             nothing
  ema=0.999                  the model is a mean of the generator's weights
A configuration with tables [[stage]] is trained stage after stage: each has the
keys above them and its own, and begins with the weights of the one before,
where a scale or a discriminator that is new begins afresh. RUN then has a
folder stage-1, stage-2 ... for each, and the model of the last.

What judges it:
  loss=hinge                 of discriminators: lsgan, hinge or vanilla
  ttur=true                  their rate doubled, the generator's halved, betas 0
                             and 0.9
  discriminator.spectral=true
                             spectral norm: they stay smooth; with
                             discriminator.norm=none
  discriminator.n_scales_temporal=2
                             so many see frames 1, 3, 9 apart; sparse_D=true
                             only groups that share none
  discriminator.face=densepose
                             one more sees a square about the face, which
                             densepose, openpose or labels, those ids of
                             discriminator.face_labels=[3,4], finds;
                             face_size=128
  r1=10                      R1: they pay for being steep at real pictures, of
                             r1_every=16 steps at one, for all; any norm
  flow_confidence=photometric
                             measured flow is right where the frame before,
                             moved by it, looks like the one now, as published;
                             else consistency: where there and back cancel`

// datasetHelp is the part of train's help about what samples are made of.
const datasetHelp = `What samples are made of:
  max_t_step=4               they step through clips by 1 to 4 frames, drawn for
                             each
  load_size=256x512          resize to height x width; --size then cuts samples
  crop_central=true          cut them out about the middle, as published
  resize_or_crop=scaleWidth  or as published, to loadSize=512 and cut to
                             fineSize=512: scaleWidth, scaleHeight, resize,
                             none, or one of these or randomScaleWidth,
                             randomScaleHeight with _and_crop or
                             _and_scaledCrop, or these two alone
  palette=city.txt           train_A has the colours of this file's labels, up
                             to tolerance=24 levels beside them; where nothing
                             says so, with generator.label_nc=35 it holds ids
  generator.use_instance=true
                             boundaries are seen: of label ids, and of
                             train_inst, a folder of index PNGs for each clip as
                             in train_A; beside pictures in colour with
                             generator.inst=true too
  part_drop=0.05             leave out each part of DensePose pictures so often

Poses and faces as vid2vid has them, drawn anew for every sample:
  dataset_mode=pose          train_densepose and train_openpose beside
                             train_img, 6 channels, or with densepose_only or
                             openpose_only 3; what OpenPose found, JSON files,
                             is drawn
  random_drop_prob=0.05      leave out each part, limb, hand and face so often
  remove_face_labels=true    no head of DensePose's, a restless one of
                             OpenPose's
  basic_point_only=true      bodies without hands and faces; people, confidence
                             and stroke are those of v2v prepare pose
  dataset_mode=face          landmarks in train_keypoints beside train_img, 15
                             channels, or with no_dist_map=true 1;
                             no_canny_edge=true leaves out what is around the
                             face
  random_scale_points=true   parts of the face a tenth smaller to larger
  crop_face=true             see a square about the face alone, as published`

// vggHelp is the part of train's help about the perceptual loss.
const vggHelp = `--vgg FILE, torchvision's VGG19 weights (.pth or safetensors), adds the
perceptual loss: 10 times (weights.perceptual; perceptual for networks of single
frames), in place of the L1 term of vid2vid and pix2pixHD unless that is set.
RUN notes FILE and its SHA-256; --resume refuses another, and takes it from
where --vgg says.`

// pairHelp is the part of train's help about networks of single frames.
const pairHelp = `With --model unet, resnet (pix2pix), pix2pixHD_global or pix2pixHD_local a
network learns to make each frame of its control picture alone. DATA may then
hold pictures themselves:
  A and B, train_A and train_B
                             pairs of one name, pictures, folders or videos
  data.side_by_side=true     each picture is a pair: control picture left, frame
                             right; data.reverse=true the other way
  data.extract=gray          colour pictures or a video alone: learns to colour;
                             edges: learns from Canny edges
  data.load=72x96            resize to height x width; --size then cuts samples
  data.holdout=0.1           kept from training where there is no test part
  generator.num_downs=5      unet: 8 take samples of multiples of 256, 5 of 32
  loss=lsgan                 bce, lsgan or hinge; gan=0 trains without one
  r1=10                      R1, every r1_every=16 steps
pix2pixHD_local trains its global generator first, on pictures of half the size,
for global_steps (3 of 5 of all), then what enhances it, for fix_global (1 of
25), then both. On labels, generator.feat_num=3 trains an encoder of instances'
features too; v2v convert --style draws from what it has seen, by label. Go on
with v2v convert, batch and eval.`

// pictureHelp is the part of train's help about networks that make pictures of
// codes.
const pictureHelp = `With --model perceptron, mlp, deconv or gan a network learns to make pictures
like those of a folder, or like the frames of videos, of codes: numbers that it
learns for each picture, or for gan noise. --size 64x64 is the size of the
pictures, whose middle square is taken; --set every=4 takes every fourth frame
of a video; --set classes=true makes a class of each folder (gan). Go on with
v2v sample and v2v compare.

What helps where a gan goes wrong:
  real_label=0.9             label smoothing: the discriminator (D) stays unsure
  discriminator.rate=0.5     TTUR: D learns at a rate of its own
  discriminator.spectral=true
                             spectral norm: D stays smooth; with
                             discriminator.norm=none
  r1=10                      R1: D pays for being steep at real pictures; with
                             discriminator.norm=none
  augment='["color", "translation", "cutout"]'
                             DiffAugment: D cannot learn few pictures by heart
  ema=0.999                  the model is a mean of the generator's weights
  loss=lsgan                 bce, lsgan or hinge`
