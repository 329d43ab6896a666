"""The security table, line by line: what is promised, and which files below tests/ hold it. All of it: `pytest -m security`; one line:
`pytest -m "security(line='S5')"`.

| line | what | files |
|---|---|---|
| S1 | no scenario, override or plug-in name runs code, reads a secret or writes a file | sandbox/test_guard.py, sandbox/test_hostile_yaml.py |
| S2 | no file of settings grows without bound | security/test_s02_bombs.py, sandbox/test_guard.py |
| S3 | no file that is loaded runs code, or is taken for another | security/test_s03_weights.py, sociallm/test_checkpoint.py, sociallm/test_state_files.py |
| S4 | no text runs in a browser | analysis/test_hostile.py, analysis/test_view*.py |
| S5 | no text steers a terminal, a log or a spreadsheet | security/test_s05_*.py, sandbox/test_log.py, sandbox/test_hostile_folders.py, analysis/test_hostile.py |
| S6 | Ray is nobody else's to use | security/test_s06_ray.py, sandbox/test_hosts.py |
| S7 | a key stays in the process that calls | sandbox/test_doors.py, sandbox/test_llm*.py |
| S8 | a key goes to the host that the user named, and nowhere else | sandbox/test_doors.py, sandbox/test_llm*.py |
| S9 | no flood takes more than its share | security/test_s09_floods.py, sandbox/test_disk.py |
| S10 | nobody speaks, acts or judges for another | security/test_s10_forged.py, sandbox/test_rights.py |
| S11 | what an installation brings is known | security/test_s11_supply.py |

`python -m tests.benchmarks.refusals` measures what S1 and S2 take, and with `--headers 10000` tampers with weights (S3).
"""
