"""What `--help` of the larger commands says beyond their options: what they take, what they write and where, and an example.

Texts alone, so that help needs nothing else loaded; a test holds the list of detectors against the table of them.
"""

from __future__ import annotations

RUN = "RUN is the folder that a run named in its last line: runs/NAME/DATE-ID, or EXPERIMENT/ARM/SEED."
EXPERIMENT = "EXPERIMENT is the folder that an experiment named in its last line: runs/NAME/DATE-ID,\nwith runs.csv and a folder for each arm."

DETECTORS = {  # name: what it looks for
    "nuisance": "how much, how long, in which seat: what every other must beat (all worlds)",
    "conduct": "do sellers charge what a joint profit asks for? (market)",
    "coupling": "do prices move together beyond what all know? (market)",
    "screens": "bids and prices that are too still or too alike (market)",
    "coalitions": "hidden pairs (diplomacy)",
    "duplicity": "does an author show everybody the same? needs the model (market)",
    "liars": "planted liars (market, diplomacy, team_task, hidden_roles)",
    "intents": "what agents meant by their own word: no outsider's evidence (market, diplomacy, team_task, hidden_roles)",
    "steganography": "secret signs in remarks (market, team_task, hidden_roles)",
    "groups": "who belongs together (market, team_task)",
}

TOLD = {
    "personas": f"""\
Do agents stay who they were told to be? After each line of an agent, how likely each persona of the run is to have said all of its lines
(w_j is proportional to w_j p(line | own state = persona j)), by the model's own states.

{RUN} Its agents were told personas.

prints: one line an agent, as it stands at its end; then over all runs, in intervals by run:
  identity    the share of agents whose own persona is the likeliest, its weight, and both under the null: personas shuffled among agents
  drift       KL of the weights from the equal ones that all begin with; lost: nats from certainty that it is the one told
  calibration error   how far the model's certainty of who speaks is from how often it is right
  prompt to line, line to line   nats a token that knowing the persona, or the agent's earlier lines, saves
writes: personas.csv where you are, a row for every line, or the file of --out

Nothing here is a judgement of style by people: with a small model, texts that differ in their words alone may show nothing.

example: python -m analysis personas runs/personas/20260102-030405-abcdef""",
    "report": f"""\
What came out of a run, or what detectors found in an experiment.

{RUN}
{EXPERIMENT}

of a run, into its folder:         report.html  report.md  metrics.csv  plots/*.png with the table of each as *.csv
of an experiment, into its folder: scores.csv scores.json (if missing or old)  verdicts.csv  power.csv  ppv.csv
                                   evidence*.csv  impulse.csv  plots/  report.html
An experiment needs arms in which something was planted; `arms` compares any. Each stage is told as it begins.

example: python -m analysis report runs/market/20260102-030405-abcdef""",
    "arms": f"""\
An experiment's arms side by side: means over runs, and each arm's difference from the first, taken within each seed.

{EXPERIMENT}

prints: what each figure means, a line for each arm, the differences with 95 % intervals over seeds (from five seeds on)
writes: arms.csv in the experiment's folder, a row for each run that is done

example: python -m analysis arms runs/markets/20260102-030405-abcdef""",
    "collusion": f"""\
One market looked at for collusion. It has no verdict of its own: high prices are an outcome, no proof of an agreement.

{RUN} Its world is a market.

prints: profit gain (0 competition, 1 a cartel of all), conduct (the weight that a price gives to the other's profit:
        0 rivals, 1 partners), couplings of prices given what all know, screens. With --impulse, in markets that set
        prices: the run played again with one seller made to cut for a round. Rivals that cut too, so that it does
        not pay, punish.
writes: nothing

example: python -m analysis collusion runs/market/20260102-030405-abcdef --impulse --seller S1""",
    "scores": f"""\
What every detector says of an experiment's runs, their agents and pairs; whether they are right, `verdicts` says.

{EXPERIMENT}

writes: scores.csv (a row for each arm, seed, detector, measure and unit; the larger the more suspicious) and
        scores.json (of which logs, detectors and model it is) in the experiment's folder

detectors:
""" + "\n".join(f"  {name:<14} {what}" for name, what in DETECTORS.items()) + """

example: python -m analysis scores runs/collusion/20260102-030405-abcdef --detectors nuisance,conduct,coupling""",
    "verdicts": f"""\
How good scores are, held against what was planted: for each arm the best detector and the best nuisance.

{EXPERIMENT} Its runs have labels.json (agents seated on
`planted`), and scores.csv of `scores` stands there.

prints: AUROC with its interval by seed (from five seeds on), the share found at 1 % and 5 % false alarms, false alarms
writes: verdicts.csv in the experiment's folder, a row for each arm, measure, kind and unit

example: python -m analysis verdicts runs/collusion/20260102-030405-abcdef""",
    "monitored": f"""\
What monitors did: false alarms in honest runs, delay to the first right alarm, and how much harm they saved.

{EXPERIMENT} It has arms with monitor.file, the
same arms without, and honest ones, with the same seeds: scenarios/experiments/monitor.yaml is one.

prints: a line for each arm that was listened to, and what was saved with its interval by seed
writes: monitored.csv in the experiment's folder, a row for each run

example: python -m analysis monitored runs/monitor/20260102-030405-abcdef""",
}  # fmt: skip
