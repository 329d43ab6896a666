"""The lead-ins that the judge learns from: what makes a deed a proposal, a question, a promise, a refusal, in many words.

Written for the judge (`judge_texts` puts deeds into them) and used by nothing else. {do} stands for a deed ("take Belgium"), {ing} for its
gerund ("taking Belgium"), {it} for a thing ("a draw"); Q for a third power.
"""

from __future__ import annotations


def lines(text: str) -> tuple[str, ...]:
    """The lines of a block, without its indentation."""
    return tuple(line.strip() for line in text.strip().split("\n"))


LEADS = {
    "propose you": lines("""
        You should {do}.
        I suggest you {do}.
        I suggest {ing}.
        Please {do}.
        Please {do}, it helps us both.
        {do}, please.
        {do}.
        Why don't you {do}?
        Maybe you could {do}?
        How about you {do}?
        How about {ing}?
        I think it's best if you {do}.
        I think you should {do}.
        Can you {do}?
        Could you {do}?
        Could you please {do}?
        Would you {do}?
        Will you {do} for me?
        My idea is that you {do}.
        I'd recommend {ing}.
        I recommend that you {do}.
        It would be great if you {do}.
        It would help me a lot if you {do}.
        Consider {ing}.
        I want you to {do}.
        I'd like you to {do}.
        I need you to {do}.
        You could {do}.
        What if you {do}?
        Any chance you could {do}?
        Would you be willing to {do}?
        Are you willing to {do}?
        I'd appreciate it if you could {do}.
        I propose that you {do}.
        My proposal is simple: {do}.
        If you could {do}, that would help.
        Do you think you could {do}?
        May I ask you to {do}?
        Would you mind {ing}?
        Can I count on you to {do}?
        You may want to {do}.
        Hey, {do} this turn?"""),
    "ask": lines("""
        Are you {ing}?
        Are you {ing} this turn?
        So are you {ing} or not?
        Will you {do}?
        Will you be {ing}?
        Do you plan to {do}?
        Do you intend to {do}?
        Are you going to {do}?
        Are you planning to {do}?
        Are you about to {do}?
        Is your plan to {do}?
        Are you thinking of {ing}?
        Are you still {ing}?
        May I ask if you will {do}?
        May I ask whether you plan to {do}?
        Can you tell me whether you will {do}?
        I wonder if you are {ing}.
        I wonder whether you will {do}.
        Were you planning on {ing}?
        Should I expect you to {do}?
        Quick question, are you {ing}?
        Just asking: are you {ing}?
        You {ing}?
        Tell me if you {do}."""),
    "promise": lines("""
        I will {do}.
        I'll {do}.
        I will {do} this turn.
        I promise to {do}.
        I promise that I will {do}.
        I promise I'll {do}.
        You have my word that I'll {do}.
        My word on it: I will {do}.
        I give you my word, I will {do}.
        I swear to {do}.
        I swear I'll {do}.
        Count on me to {do}.
        You can count on me {ing}.
        Rely on me to {do}.
        You can rely on me to {do}.
        I guarantee that I will {do}.
        Rest assured that I'll {do}.
        I commit to {ing}.
        I pledge to {do}.
        As promised, I will {do}.
        As we said, I'll {do}.
        Trust me, I'll {do}.
        I will certainly {do}.
        I'll be sure to {do}.
        I can {do} for you.
        I assure you that I will {do}."""),
    "inform": lines("""
        I am {ing}.
        I'm {ing}.
        I'm {ing} this turn.
        This turn I am {ing}.
        I am going to {do}.
        I'm gonna {do}.
        I plan to {do}.
        I'm planning to {do}.
        I intend to {do}.
        I mean to {do}.
        My plan is to {do}.
        My plan this season: {do}.
        I expect to {do}.
        I'm thinking of {ing}.
        I'm about to {do}.
        I want to {do}.
        I'd like to {do}.
        FYI, I'm {ing}.
        For your information, I am {ing}.
        Just so you know, I am {ing}.
        Heads up, I'm {ing}.
        Heads up: I am {ing}.
        So you know, I plan to {do}.
        Now {ing}.
        I hope to {do}.
        I have decided to {do}.
        I'm likely {ing}."""),
    "inform other": lines("""
        Q is {ing}.
        Q is going to {do}.
        Q will {do}.
        Q plans to {do}.
        Q wants to {do}.
        Q intends to {do}.
        I hear that Q plans to {do}.
        I heard Q is {ing}.
        I think Q is {ing}.
        I think Q will {do}.
        I believe Q will {do}.
        I expect Q to {do}.
        Watch out, Q is {ing}.
        Watch out: Q is {ing}.
        It looks like Q is {ing}.
        My guess is that Q will {do}.
        Word is that Q plans to {do}.
        Just so you know, Q is {ing}.
        Q told me they are {ing}.
        Be careful, Q is about to {do}."""),
    "accept": lines("""
        Yes, I will {do}.
        Yes, I can {do}.
        Yes, I'll {do} as you ask.
        Agreed, I'll {do}.
        Agreed. I will {do}.
        Sure, I will {do}.
        Sure, I can {do}.
        Ok, I'll {do}.
        Okay, I'm {ing}.
        Deal, I will {do}.
        Sounds good, I'll {do}.
        Sounds good to me, I will {do}.
        Of course, I'll {do}.
        Of course I will {do}.
        I agree to {do}.
        I'm happy to {do}.
        Happy to {do}.
        Glad to {do}.
        Alright, I will {do}.
        All right, {ing} it is.
        I accept and will {do}.
        No problem, I'll {do}.
        Absolutely, I'll {do}.
        Fine, I'll {do}.
        Certainly, I will {do}.
        Good, I will {do} then.
        Gladly, I'll {do}."""),
    "refuse": lines("""
        No, I will not {do}.
        No, I won't {do}.
        Sorry, I can't {do}.
        Sorry, but I won't {do}.
        I'm sorry, but I cannot {do}.
        I won't {do}.
        I can't {do}.
        I cannot {do} this turn.
        I'd rather not {do}.
        I would prefer not to {do}.
        I'm afraid I can't {do}.
        I'm not going to {do}.
        I'm not {ing}.
        I am not able to {do}.
        I'm not willing to {do}.
        I refuse to {do}.
        I have to decline, I will not {do}.
        I have to decline: I won't {do}.
        Unfortunately I cannot {do}.
        I don't want to {do}.
        I don't think I can {do}.
        It's not in my interest to {do}.
        Not {ing}, sorry."""),
    "propose we": lines("""
        I propose we {do}.
        I suggest we {do}.
        I suggest that we both {do}.
        Let's {do}.
        Let's both {do}.
        Let us {do}.
        Shall we {do}?
        Shall we both {do}?
        Can we {do}?
        Can we both {do}?
        Can we agree to {do}?
        Could we {do}?
        Why don't we {do}?
        How about we {do}?
        Maybe we should {do}.
        We should {do}.
        Do you want to {do}?
        Want to {do}?
        Would you like to {do}?
        I'd like us to {do}.
        What do you say we {do}?
        I hope we can {do}.
        We could {do}."""),
    "propose it": lines("""
        I propose {it}.
        I suggest {it}.
        How about {it}?
        What about {it}?
        Would you agree to {it}?
        Would you accept {it}?
        What do you say to {it}?
        What do you think of {it}?
        I'd like {it}.
        I want {it}.
        Are you interested in {it}?
        Are you open to {it}?
        Are you up for {it}?
        Can we agree on {it}?
        Could we have {it}?
        Any interest in {it}?
        {it}?
        Let's have {it}.
        Let's agree on {it}.
        I'd be interested in {it}.
        I offer {it}."""),
    "accept we": lines("""
        Yes, let's {do}.
        Yes, we {do}.
        Agreed, let's {do}.
        Agreed, we both {do}.
        Deal, we {do}.
        Sure, let's {do}.
        Ok, let's {do}.
        Ok, let us both {do}.
        Of course, let's {do}.
        Alright, let's {do}.
        Sounds good, let's {do}.
        Sounds good, we both {do}.
        Fine, let's {do}.
        Happy to {do}.
        Absolutely, let's {do}.
        Gladly, let's {do}.
        Deal, I'll {do} with you."""),
    "accept it": lines("""
        Agreed, {it}.
        Yes, {it}.
        Yes to {it}.
        I accept {it}.
        Yes, I accept {it}.
        I agree to {it}.
        {it} works for me.
        {it} sounds good.
        {it} is fine with me.
        Ok, {it}.
        Sure, {it} is good.
        Fine, I accept {it}.
        Deal on {it}.
        I'm on board with {it}.
        I'm fine with {it}.
        Count me in for {it}."""),
    "refuse we": lines("""
        I don't want to {do}.
        I can't {do}.
        I'm afraid we cannot {do}.
        Sorry, we can't {do}.
        I won't {do} with you.
        I'd rather not {do}.
        I'm not going to {do}.
        No, let's not {do}.
        I am not willing to {do}.
        We can't {do}, sorry."""),
    "refuse it": lines("""
        No {it}, sorry.
        No, I do not want {it}.
        I don't want {it}.
        Sorry, I can't agree to {it}.
        I can't accept {it}.
        I won't accept {it}.
        I won't join {it}.
        I'd rather not have {it}.
        I must refuse {it}.
        I have to decline {it}.
        I'm not interested in {it}.
        {it} does not work for me.
        {it} isn't for me.
        No to {it}.
        I am against {it}.
        I turn down {it}."""),
}
