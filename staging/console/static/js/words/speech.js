// Texts of a device's utterances: [Chinese, English].

import { words } from "./book.js";

words({
  speech: ["语音", "Utterances"],
  noSpeech: ["还没有录音", "Nothing was said yet"],
  noSpeechHint: ["按住设备说话，或运行 story-agent say FILE.wav。", "Speak to the device, or run story-agent say FILE.wav."],
  playUtterance: ["播放语音 {id}", "Play utterance {id}"],
  pauseUtterance: ["暂停语音 {id}", "Pause utterance {id}"],
  seconds: ["{n} 秒", "{n} s"],
  waveform: ["波形，{n} 秒", "Waveform, {n} s"],
  missing: ["缺 {n} 段", "{n} segments missing"],
  incomplete: ["未结束", "not ended"],
  damaged: ["{n} 帧损坏", "{n} frames damaged"],
  stages: ["各阶段用时", "When what happened"],
  "stage.opened": ["麦克风打开", "Microphone open"],
  "stage.began": ["开始说", "Speech begins"],
  "stage.first_segment": ["第一段到云端", "First segment"],
  "stage.ended": ["说完", "Speech ends"],
  "stage.eof": ["结束段到云端", "End at the cloud"],
  "stage.recognised": ["已识别", "Recognised"],
  "stage.ordered": ["下命令", "Ordered"],
  "stage.done": ["已执行", "Done"],
  "stage.answered": ["设备收到答复", "Device answered"],
  listen: ["聆听", "Listen"],
  listenStop: ["停止聆听", "Stop listening"],
  listenBegun: ["设备在聆听，请对它说话", "The device listens: speak to it"],
  listenEnded: ["已停止", "It does not listen"],
  cannotPlay: ["无法播放这段录音", "This utterance cannot be played"],
});
