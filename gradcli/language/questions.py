"""Which mistake a question in plain words means, in English or in Chinese: `why loss is nan`."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache

from gradcli.catalogue.mistakes import ALIASES, MISTAKES
from gradcli.catalogue.mistakes.entry import Mistake

_LONGEST = 200
"""The most characters of a question."""

_MOST = 20
"""The most words of a question."""

_FEW = 3

_FOREIGN = re.compile(
    r"(?!RuntimeError|NotImplemented|User)[\w.]*(?:Error|Warning|Exception)\b|(?i:error:)"
    r"|.*\b(?:tensorflow|keras|sklearn|pandas|np|jax)\b",
    re.ASCII,
)
"""The name of an error that PyTorch rarely raises, or of another library."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


TERMS = _set(
    """
    autograd backward batch_size bce broadcasting classes clone create_graph cross cuda data-dependent derivative detach
    differentiated dtype eigenvalues entropy exploding forward grad grad_fn gradcheck gradient gradients graph hessian
    in-place inplace jacobian jacrev kink kl leaf log_softmax logits logsumexp loss mean mse nan nll no_grad non-leaf
    non-scalar optimizer relu requires_grad retain_graph retain_grad saturated saturation scalar sigmoid softmax tensor
    tensors unused upstream vanishing vjp vmap weights zero_grad
    """
)
"""The technical terms: an entry is near a text only by these."""

_FILLERS = _set(
    """
    a about after again all always am an and any anyone anything are at backward batch batches be
    because become becomes becoming been before but by call called calling can classifier cnn code
    could custom data deep do does doing down during each end epoch epochs error even every fast few
    first for forward from gan get gets getting got had has have having hello help hi how i idea
    ideas if in instead into is issue it iteration iterations its just keep keeps layer layers
    linear long loop lstm matter me mlp model models my name net network networks neural no not now
    of on one only optimizer or out own please printed prints problem pytorch question quickly
    really regression remain remains resnet return returned returns rnn say says script seem seems
    several should show shows simple since small so some sometimes stay stays step steps still
    suddenly tensor tensors that the their them then there these they thing this though through to
    too torch train trained training transformer try trying turn turned turns two until up use using
    value values variable very w was we weight were what when where which while why will with
    without wrong x y z
    """
)
"""Words of a question that mean nothing by themselves."""

_MEANINGS = (
    ("backward", "", "反向传播 反向傳播"),
    ("cross_entropy", "cross[_-]?entropy crossentropyloss", "交叉熵"),
    ("zero_grad", "zero_gradients?", "清零 归零 歸零"),
    ("inplace", "in-place", "原地 就地"),
    ("nan", "nans", "非数 非數"),
    ("none", "nonetype null", "空值 空"),
    ("inf", "infinity infinite", "无穷大 無窮大 无穷 無窮"),
    ("zero", "zeros zeroes", "零"),
    ("small", "tiny close_to_zero near_zero", "很小 太小 小"),
    ("large", "big huge too_high high", "很大 太大 过大 過大"),
    ("oscillate", "oscillat(?:es|ing) fluctuat(?:es|ing) jumps? jumping bounc(?:es|ing) unstable",
     "震荡 震盪 振荡 振盪 波动 波動 抖动 抖動 不稳定 不穩定"),
    ("not change",
     "stuck constant plateau(?:s|ed)? flat unchanged stagnat(?:es|ed|ing) same",
     "卡住 不动 不動 不变 不變 一样 一樣 相同"),
    ("learning rate", "lr step_size", "学习率 學習率"),
    ("explode", "explod(?:es|ed|ing) explosion blow(?:s|ing|n)?_up", "爆炸"),
    ("rise",
     "increas(?:e[sd]?|ing) (?:go(?:es|ing)?|went)_up grow(?:s|n|ing)? ris(?:es|ing) larger bigger"
     " diverg(?:e[sd]?|ing)",
     "上升 增大 增加 变大 變大 发散 發散 越来越大 越來越大 升高"),
    ("fall",
     "decreas(?:e[sd]?|ing) (?:go(?:es|ing)?|went|com(?:es|ing)?)_down drop(?:s|ped|ping)? falls falling"
     " reduc(?:e[sd]?|ing) declin(?:e[sd]?|ing) descend(?:s|ing)? converg(?:e[sd]?|ing)",
     "下降 降低 减小 減小 减少 減少 变小 變小 收敛 收斂 降"),
    ("change", "chang(?:es|ed|ing) updat(?:e[sd]?|ing) mov(?:e[sd]?|ing)",
     "更新 改变 改變 变化 變化 动 動"),
    ("learn", "learn(?:s|ed|t|ing) improv(?:e[sd]?|ing)",
     "学习 學習 学到 學到 学 學 提高 提升"),
    ("vanish", "vanish(?:es|ed|ing) disappear(?:s|ed|ing)?", "消失 弥散 彌散"),
    ("accumulate", "accumulat(?:es|ed|ing|ion) adds? adding", "累加 累积 累積 叠加 疊加"),
    ("flow", "flows flowing", "传播 傳播 回传 回傳"),
    ("forget", "forgot forgotten forgetting missing", "忘记 忘記 忘了 忘"),
    ("negative", "below_zero", "负数 負數 负 負"),
    ("dead", "dying dies died", "死亡 死掉 死"),
    ("memory", "ram vram", "显存 顯存 内存 內存 記憶體"),
    ("loss", "losses cost", "损失 損失 误差 誤差"),
    ("gradient", "grads? gradients", "梯度"),
    ("weight", "weights parameters? params?", "权重 權重 参数 參數 权值 權值"),
    ("accuracy", "acc", "准确率 準確率 正确率 正確率 精度"),
    ("output", "outputs predictions?", "输出 輸出 预测 預測"),
    ("graph", "", "计算图 計算圖"),
    ("broken", "breaks cut lost", "断开 斷開 断 斷 丢失 丟失"),
    ("not",
     r"\w+n['\u2019]t doesnt dont isnt wont cant never cannot nothing hardly fail(?:s|ed)?_to no_longer",
     "没有 沒有 无法 無法 不能 不会 不會 不再 不 没 沒 未"),
    ("", "",
     "反向传播 反向傳播 为什么 為什麼 為什么 越来越 越來越 怎么 怎麼 一直 变成 變成 全部 请问 請問 哪里 "
     "哪裡 出现 出現 模型 训练 訓練 网络 網絡 網路 神经 神經 时候 時候 函数 函數 求助 代码 代碼 程式 所有 "
     "突然 张量 張量 过程 過程 始终 始終 东西 東西 如何 何时 何時 计算 計算 大佬 指点 谢谢 謝謝 报错 報錯 "
     "办 辦 样 樣 变 變 成 了 会 會 吗 嗎 呢 的 是 我 在 后 後 都 很 总 總 全 就 老 还 還 时 時 几 幾 轮 "
     "輪 第 次 为 為 每 个 個 有 值 中 算 要 到 只 也 这 這 和 里 裡 用 让 讓 上 下 完 跑 啊 啦 呀 求 救 "
     "层 層"),
)  # fmt: skip
"""Words and phrases, `_` for a blank, and the word that symptoms are compared by; Chinese words have
no blanks between them. `""` means nothing.
"""


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    found = []
    for meaning, english, chinese in _MEANINGS:
        words = "|".join(english.replace("_", r"\s+").split())
        latin = [rf"(?<!\w)(?:{words})(?!\w)"] if words else []
        found.append((re.compile("|".join([*latin, *chinese.split()]), re.ASCII), f" {meaning} "))
    return found


def _meant(text: str) -> set[str]:
    """The words of a question, those that mean the same made equal."""
    text = re.sub(r"(?<![\w.])0(?:\.0*)?(?![\w.])", " zero ", text.lower(), flags=re.ASCII)
    for pattern, meaning in _patterns():
        text = pattern.sub(meaning, text)
    return {*re.findall("[a-z_]+|[\u4e00-\u9fff]+", text)}


def by_symptoms(text: str) -> list[Mistake]:
    """The mistakes whose symptom a short question in plain words names, and nothing else."""
    words = _meant(text) if len(text) < _LONGEST else set()
    if not 0 < len(words) <= _MOST:
        return []
    scores = {}
    for mistake in MISTAKES.values():
        named = [symptom for symptom in _symptoms()[mistake.name] if symptom <= words]
        if named and words - _FILLERS <= set().union(*named):
            scores[mistake.name] = max(map(len, named))
    return best_first(scores)


@cache
def _symptoms() -> dict[str, list[set[str]]]:
    return {name: [_meant(each) for each in item.symptoms] for name, item in MISTAKES.items()}


def best_first(scores: Mapping[str, float]) -> list[Mistake]:
    """The mistakes with a score, the highest first; equal ones in the table's order."""
    scored = [mistake for mistake in MISTAKES.values() if mistake.name in scores]
    return sorted(scored, key=lambda mistake: -scores[mistake.name])


def nearest(text: str) -> list[Mistake]:
    """The mistakes that share the rarest technical terms with an unknown text, at most three; with
    that of an error that PyTorch rarely raises they must share more.
    """
    words = _words(text)
    fewest = 3 if _FOREIGN.match(text) else 2 if len(words - _FILLERS) > _FEW else 1
    shared = {name: rarity.keys() & words & TERMS for name, rarity in _rarities().items()}
    near = {name: some for name, some in shared.items() if len(some) >= fewest}
    scores = {name: sum(_rarities()[name][word] for word in some) for name, some in near.items()}
    return best_first(scores)[:3]


def _words(text: str) -> set[str]:
    """The words of a text in lower case."""
    return {*re.findall("[a-z_]+(?:-[a-z]+)*", text.lower())}


@cache
def _rarities() -> dict[str, dict[str, float]]:
    """The words of each mistake and their rarity: 1/n**2 for a word of n mistakes."""
    texts = {
        name: [name, name.replace("-", " "), item.title, *item.fragments, *item.symptoms]
        + [piece.text for piece in item.vague]
        for name, item in MISTAKES.items()
    }
    for alias, name in ALIASES.items():
        texts[name].append(alias)
    words = {name: _words(" ".join(parts)) for name, parts in texts.items()}
    counts = Counter(word for known in words.values() for word in known)
    return {name: {word: 1 / counts[word] ** 2 for word in known} for name, known in words.items()}
